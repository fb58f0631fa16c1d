//go:build linux

package linux

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// A helper and the command that it starts share memory until the exec, one as
// root and one as the target user: only where the kernel lets nobody reach it.
func TestMemoryIsSharedOnlyWhereNobodyReachesIt(t *testing.T) {
	const sysctl = "/proc/sys/fs/suid_dumpable"
	before, err := os.ReadFile(sysctl)
	must(t, err)
	t.Cleanup(func() { must(t, os.WriteFile(sysctl, before, 0)) })
	for setting, shared := range map[string]bool{"0": true, "1": false, "2": true} {
		t.Run(setting, func(t *testing.T) {
			must(t, os.WriteFile(sysctl, []byte(setting), 0))
			c, _ := outliving(t, command(t, "/bin/true"), "")
			command := 0
			eventually(t, "the helper has a child", func() bool {
				for _, pid := range allPids() {
					if s, ok := readStat(pid); ok && s.parent == c.id.PID {
						command = pid
					}
				}
				return command != 0
			})
			const vm = 1 // KCMP_VM of kcmp(2)
			order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(c.id.PID), uintptr(command), vm, 0, 0, 0)
			if errno != 0 {
				t.Fatal(errno)
			}
			if (order == 0) != shared {
				t.Errorf("memory shared: %t, want %t", order == 0, shared)
			}
			must(t, release(t, c))
			if status, err := c.Wait(t.Context()); err != nil || status.Code != 0 || status.Signal != 0 {
				t.Errorf("%+v, %v", status, err)
			}
		})
	}
}

// A service that has short turns at a processor starts programs that do not.
func TestTurnsAreNotTheServicesOwn(t *testing.T) {
	runtime.LockOSThread() // which ends with the test: it is of one thread
	ours, err := unix.SchedGetAttr(0, 0)
	must(t, err)
	usual := ours.Runtime
	ours.Runtime = 300_000
	must(t, unix.SchedSetAttr(0, ours, 0))
	p, _ := start(t, newLauncher(t, 1, ""), command(t, "/bin/sleep", "1000"))
	t.Cleanup(func() { must(t, p.Kill()) })
	theirs, err := unix.SchedGetAttr(p.ID().PID, 0)
	must(t, err)
	if theirs.Runtime != usual || theirs.Nice != 0 {
		t.Errorf("a program has turns of %d ns, others of %d", theirs.Runtime, usual)
	}
}

// Nor have its programs timers that are late.
func TestTimersAreNotTheServicesOwn(t *testing.T) {
	runtime.LockOSThread() // which ends with the test: it is of one thread
	must(t, unix.Prctl(unix.PR_SET_TIMERSLACK, 1_000_000, 0, 0, 0))
	p, _ := start(t, newLauncher(t, 1, ""), command(t, "/bin/sleep", "1000"))
	t.Cleanup(func() { must(t, p.Kill()) })
	slack, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", p.ID().PID))
	must(t, err)
	if string(slack) != "50000\n" {
		t.Errorf("its timers are %s ns late", slack)
	}
}

// A service that gives way to others, or comes before them, starts programs that do
// neither.
func TestPriorityIsNotTheServicesOwn(t *testing.T) {
	runtime.LockOSThread() // which ends with the test: it is of one thread
	must(t, unix.Setpriority(unix.PRIO_PROCESS, 0, 5))
	l := newLauncher(t, 1, "")
	if out, _ := output(t, l, command(t, "/usr/bin/nice")); out != "0\n" {
		t.Errorf("its nice value is %s", out)
	}
}

// Programs find neither each other's keys nor the service's in their session's keyring,
// not even one of the same user.
func TestKeysAreNotTheServicesOwn(t *testing.T) {
	const session = -3 // KEY_SPEC_SESSION_KEYRING of keyctl(2)
	ours, err := unix.KeyctlGetKeyringID(session, true)
	must(t, err)
	l := newLauncher(t, 1, "") // the one that a service has
	seen := map[string]bool{strconv.Itoa(ours): true}
	for _, as := range []core.Account{rootAccount, rootAccount, otherAccount} {
		spec := command(t, "/usr/bin/keyctl", "id", "@s")
		spec.As.Account = as
		out, status := output(t, l, spec)
		id := strings.TrimSpace(out)
		if seen[id] || id == "" || status != (core.ExitStatus{}) {
			t.Errorf("a program of %s has the keyring %q, %+v; others have %v", as.Name, id, status, seen)
		}
		seen[id] = true
	}
}

//go:build linux

package linux

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/platform/linux/confined"
	"kpm/platform/unix/handover"
	"kpm/trust/reader"
)

// built returns a path to a program, built once, that leaves nothing behind.
func built(pkg string) func() string {
	return sync.OnceValue(func() string {
		dir, err := os.MkdirTemp("", "kpm-reader-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, confined.Name)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			panic(string(out))
		}
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			panic(err)
		}
		return procFd(fd)
	})
}

var (
	readerPath   = built("kpm/cmd/keeperreader")
	attemptsPath = built("./testdata/attempts")
)

// newConfiner returns a Confiner of program that ends with the test.
func newConfiner(t testing.TB, program string) *Confiner {
	t.Helper()
	c := NewConfiner(program)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// newPool returns readers that end with the test.
func newPool(t testing.TB, b *reader.Bundle) *reader.Pool {
	t.Helper()
	pool, err := reader.NewPool(newConfiner(t, readerPath()), b, reader.Limits{Ready: 1, Most: 2})
	must(t, err)
	t.Cleanup(pool.Close)
	must(t, pool.Start(t.Context()))
	return pool
}

// startConfined starts one process, which ends with the test.
func startConfined(t testing.TB, program string) *confinedProcess {
	t.Helper()
	p, err := newConfiner(t, program).Start(t.Context())
	must(t, err)
	t.Cleanup(func() { p.Close() }) // twice is no fault
	return p.(*confinedProcess)
}

// statusOf returns the fields of /proc/PID/status.
func statusOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	must(t, err)
	fields := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Join(strings.Fields(value), " ")
	}
	return fields
}

// What the kernel itself says of a reader that waits.
func TestAReaderHasNoPrivilege(t *testing.T) {
	stray, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // as the service's parent may have left
	must(t, err)
	defer unix.Close(stray)
	p := startConfined(t, readerPath())
	pid := p.id.PID
	got := statusOf(t, pid)
	for name, want := range confinedStatus(p.user) {
		if got[name] != want {
			t.Errorf("%s is %q, expected %q", name, got[name], want)
		}
	}
	proc := "/proc/" + strconv.Itoa(pid)
	limits, err := os.ReadFile(proc + "/limits")
	must(t, err)
	for _, row := range []string{
		"Max data size 536870912 536870912", "Max address space 4294967296 4294967296", "Max cpu time 120 120", "Max open files 16 16",
		"Max processes 32 32", "Max file size 0 0", "Max core file size 0 0", "Max locked memory 0 0",
	} {
		if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), row) {
			t.Errorf("not limited: %s", row)
		}
	}
	for name, want := range map[string]string{"environ": strings.Join(confined.Environ, "\x00") + "\x00", "oom_score_adj": "1000\n", "comm": confined.Name + "\n"} {
		if data, err := os.ReadFile(proc + "/" + name); err != nil || string(data) != want {
			t.Errorf("%s is %q, %v", name, data, err)
		}
	}
	if dir, err := os.Readlink(proc + "/cwd"); err != nil || dir != "/" {
		t.Errorf("it is in %s, %v", dir, err)
	}
	// Whose the files in /proc are says whether others of its user may look.
	var st unix.Stat_t
	if err := unix.Stat(proc+"/environ", &st); err != nil || st.Uid != 0 {
		t.Errorf("/proc shows it to user %d, %v", st.Uid, err)
	}
	open, err := os.ReadDir(proc + "/fd")
	must(t, err)
	for _, entry := range open {
		fd, _ := strconv.Atoi(entry.Name())
		leads, err := os.Readlink(proc + "/fd/" + entry.Name())
		switch {
		case err != nil:
			t.Error(err)
		case fd < 3 && leads == os.DevNull, fd == confined.Conn && strings.HasPrefix(leads, "socket:"):
		case fd > 3 && strings.HasPrefix(leads, "anon_inode:[event"): // the runtime's
		default:
			t.Errorf("descriptor %d is %s", fd, leads)
		}
	}
}

// attempt has a process that was taken over try something.
func attempt(t *testing.T, p port.Confined, name string, file *os.File) string {
	t.Helper()
	must(t, p.Send([]byte(name), file))
	answer := make([]byte, 256)
	n, err := p.Read(answer)
	if err != nil {
		return err.Error()
	}
	return string(answer[:n])
}

// Attack: a file takes its reader over. What can it do?
func TestAReaderThatWasTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(path, []byte("content"), 0o600))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	p := startConfined(t, attemptsPath())
	for _, name := range []string{
		"open", "open again", "openat2", "list", "stat", "socket", "unix socket", "socketpair", "sendmsg", "exec", "execveat", "fork", "vfork",
		"new namespaces", "clone3", "unshare", "signal", "signal a thread", "pidfd", "trace", "read memory", "become root", "capabilities",
		"prctl", "limits", "another filter", "keys", "bpf", "io_uring", "userfaultfd", "memory file", "ioctl", "fcntl", "lock", "seek",
		"read and move on", "write", "write at", "truncate", "chmod", "attribute", "new code", "make code", "shared memory", "growing stack", "map the file",
	} {
		if got := attempt(t, p, name, f); got != unix.EPERM.Error() {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, name := range []string{"read the file", "threads", "wait", "collect"} {
		if got := attempt(t, p, name, f); got != "done" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if at, err := f.Seek(0, 1); err != nil || at != 0 {
		t.Errorf("our own offset is %d, %v", at, err)
	}
	// Threads that were made since are no freer.
	must(t, verifyConfined(p.id.PID, p.user))
	if got := attempt(t, p, "all memory", nil); got != "EOF" {
		t.Errorf("it had all memory and says %q", got)
	}
}

// Attack: a process of the same user stops readers, traces them or looks into
// their files. There is no such process, and if there is one it may not trace.
func TestEveryReaderIsAUserOfItsOwn(t *testing.T) {
	one, two := startConfined(t, readerPath()), startConfined(t, readerPath())
	if a, b := statusOf(t, one.ID().PID)["Uid"], statusOf(t, two.ID().PID)["Uid"]; a == b {
		t.Errorf("both are user %s", a)
	}
}

// A reader that nobody closes ends with the service: its end of the connection
// is gone.
func TestAReaderEndsWithTheService(t *testing.T) {
	p := startConfined(t, readerPath())
	must(t, onDescriptor(p.conn, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RDWR) }))
	eventually(t, "the reader ends", func() bool { return !NewTree().Alive(p.ID()) })
}

// Attack: a process that only believes to be confined is handed a file.
func TestAProcessThatIsNotConfinedIsNotUsed(t *testing.T) {
	if err := verifyConfined(os.Getpid(), 0); err == nil {
		t.Error("the test itself is confined")
	}
	p := startConfined(t, readerPath())
	status, err := os.ReadFile("/proc/" + strconv.Itoa(p.id.PID) + "/status")
	must(t, err)
	expected := confinedStatus(p.user)
	must(t, matchStatus(status, expected))
	for name, replace := range map[string][2]string{
		"root's files":  {"Uid:\t" + strconv.Itoa(int(p.user)), "Uid:\t0"},
		"a group":       {"Groups:\t", "Groups:\t27"},
		"a capability":  {"CapBnd:\t0000000000000000", "CapBnd:\t0000000000000001"},
		"no filter":     {"Seccomp:\t2", "Seccomp:\t0"},
		"more to get":   {"NoNewPrivs:\t1", "NoNewPrivs:\t0"},
		"an old kernel": {"CapAmb:", "CapX:"},
	} {
		changed := strings.Replace(string(status), replace[0], replace[1], 1)
		if changed == string(status) || matchStatus([]byte(changed), expected) == nil {
			t.Errorf("%s passes for confined", name)
		}
	}
	// Not a reader: it never says that it is confined.
	_, err = newConfiner(t, "/bin/true").Start(t.Context())
	if err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("true is a reader: %v", err)
	}
	for _, none := range []string{"/nonexistent", "/etc/passwd", "/tmp"} {
		if _, err := newConfiner(t, none).Start(t.Context()); err == nil {
			t.Errorf("%s is a reader", none)
		}
	}
}

// Started by anyone but the service, with privileges that it could get again, it
// cannot confine itself, says so and ends: it takes no file.
func TestAReaderThatCannotConfineItself(t *testing.T) {
	ours, theirs, err := connection()
	must(t, err)
	defer ours.Close()
	cmd := exec.Command(readerPath())
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	must(t, cmd.Start())
	theirs.Close()
	if err := handover.AwaitReady(t.Context(), ours); err == nil || !strings.Contains(err.Error(), "it could not install the system call filter: permission denied") {
		t.Errorf("got %v", err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("it ended well")
	}
}

// The thread that starts a reader has nothing left, and takes nothing from those
// that start everything else.
func TestTheServiceKeepsItsPrivileges(t *testing.T) {
	startConfined(t, readerPath())
	threads, err := filepath.Glob("/proc/self/task/*/status")
	must(t, err)
	eventually(t, "the thread has ended", func() bool {
		for _, thread := range threads {
			status, err := os.ReadFile(thread)
			if err == nil && !strings.Contains(string(status), "NoNewPrivs:\t0") {
				return false
			}
		}
		return true
	})
	ended := make(chan bool)
	go func() { // on the main thread or not
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		var thread int
		onThreadThatEnds(func() { thread = unix.Gettid() })
		ended <- thread != os.Getpid() && thread != unix.Gettid()
	}()
	if !<-ended {
		t.Error("it was a thread that goes on")
	}
}

func TestNoReaderOutlivesItsConfiner(t *testing.T) {
	c := NewConfiner(readerPath())
	p, err := c.Start(t.Context())
	must(t, err)
	must(t, c.Close())
	if NewTree().Alive(p.ID()) {
		t.Error("it is alive")
	}
	if _, err := c.Start(t.Context()); err == nil {
		t.Error("a closed Confiner starts another")
	}
}

//go:build linux

package linux

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// What holds for a process and not for the service is said, and whether it takes
// something from root.
func TestRestraints(t *testing.T) {
	here := place{mount: 1, inode: 2}
	ours := restraint{bounding: 0xff, permitted: 0xff, root: here}
	free, filtered := ours, ours
	filtered.seccomp = 2
	for name, tc := range map[string]struct {
		theirs, ours restraint
		says         string
		ofRoot       bool
	}{
		"nothing":                   {free, ours, "", false},
		"an ordinary user":          {restraint{bounding: 0xff, root: here}, ours, "", false},
		"another directory":         {restraint{bounding: 0xff, permitted: 0xff, root: place{mount: 1, inode: 3}}, ours, "root directory", true},
		"a bind mount of the same":  {restraint{bounding: 0xff, permitted: 0xff, root: place{mount: 7, inode: 2}}, ours, "root directory", true},
		"a smaller set":             {restraint{bounding: 0x7f, permitted: 0x7f, root: here}, ours, "bounding set", true},
		"a set that we do not have": {restraint{bounding: 0x1ff, permitted: 0x1ff, root: here}, ours, "", false},
		"a filter":                  {restraint{bounding: 0xff, permitted: 0xff, root: here, seccomp: 1}, ours, "seccomp", true},
		"as many as we have":        {filtered, filtered, "", false},
		"one more than we have":     {restraint{bounding: 0xff, root: here, seccomp: 3}, filtered, "seccomp", true},
		"no new privileges":         {restraint{bounding: 0xff, root: here, noNewPrivs: true}, ours, "no_new_privs", true},
		"of root as it is":          {restraint{bounding: 0xff, permitted: 0xff, root: here, noNewPrivs: true}, ours, "no_new_privs", false},
		"as we have none ourselves": {restraint{bounding: 0xff, root: here, noNewPrivs: true}, restraint{bounding: 0xff, root: here, noNewPrivs: true}, "", false},
	} {
		says, ofRoot := tc.theirs.beyond(tc.ours)
		if (says == "") != (tc.says == "") || !strings.Contains(says, tc.says) || ofRoot != tc.ofRoot {
			t.Errorf("%s: %q, %v; expected %q, %v", name, says, ofRoot, tc.says, tc.ofRoot)
		}
	}
}

// The kernel's word on a process, however long its list of groups.
func TestRestraintOfAProcess(t *testing.T) {
	from, err := newViewpoint(nil)
	must(t, err)
	var groups []uint32
	for gid := range uint32(3000) {
		groups = append(groups, 1_000_000_000+gid)
	}
	cmd := exec.Command("/usr/bin/setpriv", "--no-new-privs", "--bounding-set=-sys_admin", "sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Groups: groups}, Pdeathsig: syscall.SIGKILL}
	must(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	eventually(t, "sleep runs", func() bool {
		name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid), "comm"))
		return string(name) == "sleep\n"
	})
	p, err := openProcess(cmd.Process.Pid)
	must(t, err)
	defer p.close()
	status, err := p.status()
	must(t, err)
	theirs, err := restraintOf(p, status)
	must(t, err)
	const sysAdmin = 1 << 21
	if want := from.ours.bounding &^ sysAdmin; theirs.bounding != want || !theirs.noNewPrivs || theirs.root != from.ours.root || theirs.seccomp != from.ours.seccomp {
		t.Errorf("%+v beside %+v", theirs, from.ours)
	}
}

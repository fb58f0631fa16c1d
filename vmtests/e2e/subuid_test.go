//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/apart"
)

// TestAUserNamespaceOfSubordinateIds: a user makes a user namespace of their
// subordinate ids with the machine's own newuidmap, leaves a setuid file there
// that belongs to one of them, and runs it outside: whoever that makes them asks
// for nothing. Attack: 65,536 identities that no policy names, each with a share
// of every limit of its own.
func TestAUserNamespaceOfSubordinateIds(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	first := stranger - 4321
	etc(t, "subuid", fmt.Sprintf("person4242:%d:65536\n", first))
	dir := reachable(t)
	if err := os.Chown(dir, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	as := func(argv ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Env = []string{"KEEPER_AGENT_ROOT=" + a.Root, "PATH=/usr/bin:/bin", "LANG=C.UTF-8"}
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
		return cmd
	}
	// Whoever is in the namespace waits until it is mapped from outside, and then
	// is its id 1.
	inside := as("unshare", "--user", "sh", "-c", `echo ready; read go
setpriv --reuid=1 sh -c 'cp /usr/bin/env "$0" && chmod 4755 "$0"' "$0"`, filepath.Join(dir, "other"))
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	c := visits(t, inside)
	c.says("ready")
	maps := as("newuidmap", fmt.Sprint(inside.Process.Pid), "0", "4242", "1", "1", fmt.Sprint(first), "65536")
	if out, err := maps.CombinedOutput(); err != nil {
		t.Fatalf("newuidmap: %v: %s", err, out)
	}
	c.tell("go")
	if err := c.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, &c.said)
	}
	info, err := os.Stat(filepath.Join(dir, "other"))
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != uint32(first) || info.Mode()&os.ModeSetuid == 0 {
		t.Fatalf("the file is %d's, %v", owner, info.Mode())
	}
	sudo := filepath.Join(a.Root, "keepersudo")
	// As they are then, and with their real uid changed too, as any program of
	// theirs can.
	refuses(t, "a setuid file", as(filepath.Join(dir, "other"), sudo, "--root", a.Root, "id", "-u"), "")
	both := as(filepath.Join(dir, "other"), "python3", "-c",
		fmt.Sprintf("import os, sys; os.setresuid(%d, %d, %d); os.execv(sys.argv[1], sys.argv[1:])", first, first, first), sudo, "--root", a.Root, "id", "-u")
	refuses(t, "and all three uids", both, "no account on this machine")
	if out := opened(t, a); strings.Contains(out, fmt.Sprint(first)) {
		t.Errorf("a stranger made a request: %s", out)
	}
	runs(t, "themself", as(sudo, "id", "-u"), "0\n")
}

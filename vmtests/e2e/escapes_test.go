//go:build linux

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRestartingOneServiceIsNoShell: whoever may restart one service may not start a unit
// of their own, edit one, or have a shell, by whatever program.
// https://github.com/systemd/systemd/issues/39677
func TestRestartingOneServiceIsNoShell(t *testing.T) {
	a := newAgent(t, policyOf("cups", "JUSTIFY", `, "ApplicationCheck": ["/usr/bin/systemctl"], "Extension": {"AllowCommands": ["systemctl restart cups"]}`), nil)
	// What it is for is allowed, but for the reason.
	if out, status := sudoed(t, a, "-n", "systemctl", "restart", "cups"); status != 1 || !strings.Contains(out, forbids) {
		t.Errorf("%d: %s", status, out)
	}
	for _, command := range []string{
		"systemd-run id", "systemd-run --pty sh", "systemctl edit cups", "systemctl edit --force --full mine.service", "systemctl restart cups mine.service",
		"systemctl --root=/tmp restart cups", "systemctl set-environment LD_PRELOAD=/tmp/x", "systemctl status cups", "systemctl", "systemctl restart ../cups",
		"sh -c id", "bash", "pkexec sh", "run0 sh", "sudo sh", "su -c id", "env systemctl restart cups", "at now",
	} {
		words := strings.Fields(command)
		if _, err := exec.LookPath(words[0]); errors.Is(err, exec.ErrNotFound) {
			continue // nothing of that name is here to be asked for
		}
		if out, status := sudoed(t, a, append([]string{"--reason", "ticket 7"}, words...)...); status != 1 || !strings.Contains(out, "No policy allows this command for you") {
			t.Errorf("%s: exit status %d: %s", command, status, out)
		}
	}
}

// TestADenyListOfEscapes: beside a grant of everything, what a list denies is denied by
// each name and by each link that leads to it, of the system's and of the person's own.
func TestADenyListOfEscapes(t *testing.T) {
	denied := []string{"bash", "dash", "sh", "awk", "vi", "vim*", "env", "find", "python3*", "perl*", "less", "xargs"}
	a := newAgent(t, "["+allowAll+","+policyOf("escapes", "DENY", `, "TargetUserCheck": ["*"], "ApplicationCheck": ["`+strings.Join(denied, `", "`)+`"]`)+"]", nil)
	own := reachable(t)
	if err := os.Chown(own, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{ // what is typed, to what it does
		"sh": {"-c", "id"}, "/bin/sh": {"-c", "id"}, "/bin/../bin/sh": {"-c", "id"}, "bash": {"-c", "id"}, "dash": {"-c", "id"}, "awk": {`BEGIN{system("id")}`}, "mawk": {`BEGIN{system("id")}`},
		"vi": {"-c", ":!id"}, "vim.tiny": {"-c", ":!id"}, "env": {"id"}, "find": {"/etc/hostname", "-exec", "id", ";"}, "python3": {"-c", "import os; os.system('id')"}, "perl": {"-e", "exec q(id)"},
		"less": {"/etc/hostname"}, "xargs": {"id"}, "rbash": {"-c", "id"},
	}
	tried := 0
	for name, args := range names {
		path := name
		if !strings.Contains(name, "/") {
			path = "/usr/bin/" + name
		}
		if _, err := os.Stat(path); err != nil {
			continue // this machine has none
		}
		link := filepath.Join(own, "ls") // a name that nobody denies
		_ = os.Remove(link)
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, typed := range []string{name, path, link} {
			tried++
			if out, status := sudoed(t, a, append([]string{typed}, args...)...); status != 1 || !strings.Contains(out, `Policy "Policy escapes" refuses this command`) {
				t.Errorf("%s %q: exit status %d: %s", typed, args, status, out)
			}
			if out, status := sudoed(t, a, append([]string{"-u", "daemon", typed}, args...)...); status != 1 || strings.Contains(out, "uid=") {
				t.Errorf("%s %q as daemon: exit status %d: %s", typed, args, status, out)
			}
		}
	}
	if tried < 24 {
		t.Errorf("%d ways were tried", tried)
	}
	if out, status := sudoed(t, a, "id", "-u"); status != 0 || out != "0\n" {
		t.Errorf("what is not on the list: %d: %s", status, out)
	}
}

// TestANamedAction: one step that takes an administrator is a program of root's, which
// policy lets people run by its name, as it is: with its own arguments, for who is named,
// and whoever has asked is known to it.
// https://github.com/fleetdm/fleet/issues/46494
func TestANamedAction(t *testing.T) {
	dir, err := os.MkdirTemp("/opt", "kpm-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	action := filepath.Join(dir, "set-pin")
	script := "#!/bin/sh\necho \"$1 of the disk was set by $KEEPER_REQUESTING_USER as $(id -un)\"\n"
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(action, []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, strings.Replace(policyOf("pin", "ALLOW", `, "ApplicationCheck": ["`+action+`"], "Extension": {"AllowCommands": ["`+action+` PIN"]}`),
		`"UserCheck": ["*"]`, `"UserCheck": ["#4242"]`, 1), nil)
	if out, status := sudoed(t, a, action, "PIN"); status != 0 || out != "PIN of the disk was set by person4242 as root\n" {
		t.Errorf("%d: %q", status, out)
	}
	if out, status := sudoed(t, a, action, "PIN; id"); status != 1 || !strings.Contains(out, "No policy allows this command for you") {
		t.Errorf("other arguments: %d: %q", status, out)
	}
	refuses(t, "somebody else", a.Sudo(t.Context(), 4243, action, "PIN"), "No policy allows this command for you")
	if out, status := sudoed(t, a, "-l"); status != 0 || !strings.Contains(out, action+" PIN") {
		t.Errorf("it is not listed: %d: %s", status, out)
	}
}

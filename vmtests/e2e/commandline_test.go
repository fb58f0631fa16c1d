//go:build linux

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/agent"
)

// TestAsPeopleTypeIt: command lines that sudo's users and tools write.
func TestAsPeopleTypeIt(t *testing.T) {
	a := newAgent(t, asAnybody(allowAll), nil)
	for _, tc := range []struct {
		args   []string
		stdin  string
		status int
		says   string
	}{
		{[]string{"-H", "-S", "-n", "-u", "root", "/bin/sh", "-c", "echo BECOME-SUCCESS-xxx ; /usr/bin/python3"}, // Ansible
			"print(6 * 7)", 0, "BECOME-SUCCESS-xxx\n42\n"},
		{[]string{"-nu", "root", "id", "-u"}, "", 0, "0\n"},
		{[]string{"-nHuroot", "id", "-u"}, "", 0, "0\n"},
		{[]string{"-A", "id", "-u"}, "", 0, "0\n"},
		{[]string{"-H", "sh", "-c", "echo $HOME"}, "", 0, "/root\n"},
		{[]string{"-V"}, "", 0, "keepersudo "},
		{[]string{"-h"}, "", 0, "Examples:"},
		{[]string{"-E", "id"}, "", 2, "keepersudo env NAME=VALUE"},
		{[]string{"FOO=bar", "id"}, "", 2, "keepersudo env FOO=VALUE"},
		{[]string{"-i"}, "", 2, "bash -l"},
		{[]string{"-s"}, "", 2, "keepersudo bash"},
		{[]string{"-l"}, "", 0, "as anybody: every program"},
		{[]string{"-v"}, "", 0, "No policy asks you for a code"},
		{[]string{"-nv"}, "", 0, "No policy asks you for a code"},
		{[]string{"-K"}, "", 0, ""},
		{[]string{"-k", "id", "-u"}, "", 0, "0\n"},
		{[]string{"-h", "elsewhere", "id"}, "", 2, "ssh HOST"},
	} {
		cmd := a.Sudo(t.Context(), 4242, tc.args...)
		cmd.Stdin = strings.NewReader(tc.stdin)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tc.status || !strings.Contains(string(out), tc.says) {
			t.Errorf("keepersudo %q: exit status %d, %q; expected %d, %q", tc.args, got, out, tc.status, tc.says)
		}
	}
}

// TestHelp: every executable says what it is for, with examples, and that is no
// fault.
func TestHelp(t *testing.T) {
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(staged, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.Mode()&0o111 == 0 || filepath.Ext(path) != "" {
			return err
		}
		found++
		cmd := exec.CommandContext(t.Context(), path, "--help")
		cmd.Env = []string{}
		out, err := cmd.Output() // what is asked for is no error message
		if err != nil || !strings.Contains(string(out), "Usage:") || !strings.Contains(string(out), "Examples:") {
			t.Errorf("%s: %v: %s", entry.Name(), err, out)
		}
		return nil
	})
	if err != nil || found < 9 {
		t.Errorf("%d executables, %v", found, err)
	}
	lint, err := exec.CommandContext(t.Context(), filepath.Join(staged, "Plugins/bin/KeeperPolicy/KeeperPolicy"), "lint", "--help").Output()
	if err != nil || !strings.Contains(string(lint), "Usage:") || !strings.Contains(string(lint), "Examples:") {
		t.Errorf("KeeperPolicy lint: %v: %s", err, lint)
	}
}

// tools makes, where only root can change anything, a script that says what it
// was called, and links to it and to a program that has many names.
func tools(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/opt", "kpm-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(
		os.Chmod(dir, 0o755),
		os.WriteFile(filepath.Join(dir, "pg_wrapper"), []byte("#!/bin/sh\necho \"called ${0##*/} of $0\"\n"), 0o755),
		os.Symlink("pg_wrapper", filepath.Join(dir, "psql")),
		os.Symlink("/usr/bin/bash", filepath.Join(dir, "multi")),
	); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestWhatProgramsAreCalled: a program that looks at its name is called what was
// typed, if only root could have it lead elsewhere, and by its own path if not.
func TestWhatProgramsAreCalled(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	safe, own := tools(t), reachable(t)
	if err := errors.Join(
		os.Symlink(safe+"/psql", own+"/createdb"), os.Symlink(safe+"/multi", own+"/other"), os.Chown(own, 4242, 4242),
	); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		argv []string
		want string
	}{
		{[]string{safe + "/psql"}, "called psql of " + safe + "/psql\n"},
		{[]string{safe + "/pg_wrapper"}, "called pg_wrapper of " + safe + "/pg_wrapper\n"},
		{[]string{own + "/createdb"}, "called pg_wrapper of " + safe + "/pg_wrapper\n"},
		{[]string{safe + "/multi", "-c", "echo $0"}, safe + "/multi\n"},
		{[]string{own + "/other", "-c", "echo $0"}, "/usr/bin/bash\n"},
		{[]string{"bash", "-c", "echo $0"}, "bash\n"},
	} {
		if out, err := a.Sudo(t.Context(), 4242, tc.argv...).CombinedOutput(); err != nil || string(out) != tc.want {
			t.Errorf("%q: %v, %q; expected %q", tc.argv, err, out, tc.want)
		}
	}
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "1000", "--json")
	if err != nil || !strings.Contains(out, `"argv":["`+safe+`/psql"]`) || !strings.Contains(out, `"path":"`+safe+`/pg_wrapper"`) {
		t.Errorf("the journal has not both names: %v\n%s", err, out)
	}
}

// TestQuestionsShowBothNames: who is asked for a reason sees the program and
// what it is called.
func TestQuestionsShowBothNames(t *testing.T) {
	safe := tools(t)
	s := sitDown(t, newAgent(t, justifyAll, nil), nil, "keepersudo", safe+"/psql")
	s.until("Reason for running " + safe + "/psql (" + safe + "/pg_wrapper) as root (request ")
	s.types("why not\r")
	s.until("called psql")
	if status := s.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestScriptsThatAreCopied: a script that runs from a copy finds what lies
// beside it.
func TestScriptsThatAreCopied(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	dir := reachable(t)
	script := "#!/bin/sh\ncd \"$(dirname \"${KEEPER_SCRIPT:-$0}\")\" && cat beside\n"
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "install.sh"), []byte(script), 0o755), os.WriteFile(filepath.Join(dir, "beside"), []byte("found\n"), 0o644),
		os.Chown(filepath.Join(dir, "install.sh"), 4242, 4242), os.Chown(dir, 4242, 4242),
	); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"./install.sh", dir + "/install.sh"} {
		cmd := a.Sudo(t.Context(), 4242, typed, "--prefix=/usr/local")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "found\n" {
			t.Errorf("%s: %v: %s", typed, err, out)
		}
	}
	// Protected scripts need no such help.
	out, err := a.Sudo(t.Context(), 4242, "sh", "-c", "echo ${KEEPER_SCRIPT-unset}").CombinedOutput()
	if err != nil || string(out) != "unset\n" {
		t.Errorf("%v: %s", err, out)
	}
}

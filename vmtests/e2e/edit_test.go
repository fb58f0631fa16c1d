//go:build linux

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestEditOneFile: a person edits a copy as themself, and the file that policy names
// is written, by nobody who could do anything else.
func TestEditOneFile(t *testing.T) {
	dir := reachable(t)
	app := filepath.Join(dir, "app")
	conf, more, secret := filepath.Join(app, "app.conf"), filepath.Join(app, "more.conf"), filepath.Join(dir, "secret")
	editor, diary := filepath.Join(dir, "editor"), filepath.Join(dir, "diary")
	fresh := func() {
		if err := errors.Join(os.RemoveAll(app), os.Mkdir(app, 0o755), os.WriteFile(conf, []byte("one\n"), 0o640), os.WriteFile(more, []byte("more\n"), 0o600),
			os.Chown(app, 4242, 4242), os.WriteFile(secret, []byte("secret\n"), 0o600), os.WriteFile(diary, nil, 0o666), os.Chmod(diary, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	// The folder belongs to the person: whatever they do there, it is the file that
	// was decided on.
	a := newAgent(t, policyOf("edit", "ALLOW", `, "ApplicationCheck": ["{approot}/keeperedit"], "Extension": {"AllowCommands": ["{approot}/keeperedit --serve {path:`+app+`/*}"]}`), nil)
	edit := func(script string, files ...string) (string, int) {
		t.Helper()
		if err := os.WriteFile(editor, []byte("id -u >> "+diary+"\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := a.Sudo(t.Context(), 4242, append([]string{"-e"}, files...)...)
		cmd.Env = append(cmd.Env, "SUDO_EDITOR=/bin/sh "+editor, "EDITOR=/bin/false", "TMPDIR="+ownFolder(t, dir))
		out, _ := cmd.CombinedOutput()
		return string(out), cmd.ProcessState.ExitCode()
	}
	holds := func(path, want string) {
		t.Helper()
		if now, err := os.ReadFile(path); err != nil || string(now) != want {
			t.Errorf("%s holds %q, %v; want %q", path, now, err, want)
		}
	}

	fresh()
	if out, status := edit(`cat "$1"; echo two >> "$1"`, conf); status != 0 || out != "one\n" {
		t.Errorf("exit status %d: %s", status, out)
	}
	holds(conf, "one\ntwo\n")
	holds(diary, "4242\n")
	if info, err := os.Stat(conf); err != nil || info.Mode().Perm() != 0o640 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("owner or mode changed: %v, %v", info, err)
	}

	fresh()
	if out, status := edit(`for f; do echo two >> "$f"; done`, conf, more); status != 0 {
		t.Errorf("two files: exit status %d: %s", status, out)
	}
	holds(conf, "one\ntwo\n")
	holds(more, "more\ntwo\n")

	for name, tc := range map[string]struct {
		script string
		before func()
		files  []string
		said   string
		status int
	}{
		"left as it is":         {script: `:`, files: []string{conf}, said: "unchanged"},
		"the editor fails":      {script: `echo two >> "$1"; exit 3`, files: []string{conf}, said: "what you wrote is in ", status: 1},
		"another file":          {script: `echo two >> "$1"`, files: []string{secret}, said: "No policy allows", status: 1},
		"out of the folder":     {script: `echo two >> "$1"`, files: []string{app + "/../secret"}, said: "No policy allows", status: 1},
		"one of two is refused": {script: `for f; do echo two >> "$f"; done`, files: []string{conf, secret}, said: "No policy allows", status: 1},
		"nothing there":         {script: `echo two >> "$1"`, files: []string{app + "/none"}, said: "No policy allows", status: 1},
		"no file":               {files: nil, said: "there is no file to edit", status: 2},
		// CVE-2015-5602.
		"a link": {script: `echo two >> "$1"`, files: []string{app + "/link"}, before: func() {
			if err := os.Symlink(secret, app+"/link"); err != nil {
				t.Error(err)
			}
		}, said: "No policy allows", status: 1},
		// CVE-2023-22809: files that the editor is given beside the copies are read and
		// written with the person's own rights.
		"more files by the editor's arguments": {script: `cat ` + secret + ` >> "$1"; :`, files: []string{conf}, said: "Permission denied"},
	} {
		t.Run(name, func(t *testing.T) {
			fresh()
			if tc.before != nil {
				tc.before()
			}
			out, status := edit(tc.script, tc.files...)
			if status != tc.status || !strings.Contains(out, tc.said) || strings.Contains(out, "secret\n") {
				t.Errorf("exit status %d: %s", status, out)
			}
			holds(conf, "one\n")
			holds(secret, "secret\n")
		})
	}

	t.Run("exchanged while the editor runs", func(t *testing.T) {
		fresh()
		out, status := edit(`mv `+conf+` `+conf+`.was; ln -s `+secret+` `+conf+`; echo two >> "$1"`, conf)
		if status != 0 {
			t.Errorf("exit status %d: %s", status, out)
		}
		holds(conf+".was", "one\ntwo\n")
		holds(secret, "secret\n")
	})
	t.Run("changed by somebody else while the editor runs", func(t *testing.T) {
		fresh()
		if err := os.Chmod(conf, 0o666); err != nil {
			t.Fatal(err)
		}
		out, status := edit(`echo theirs > `+conf+`; echo two >> "$1"`, conf)
		if status != 1 || !strings.Contains(out, "somebody else has changed it meanwhile") {
			t.Errorf("exit status %d: %s", status, out)
		}
		holds(conf, "theirs\n")
	})
}

// ownFolder is a folder of user 4242's own.
func ownFolder(t *testing.T, dir string) string {
	t.Helper()
	own := filepath.Join(dir, "tmp")
	if err := os.Mkdir(own, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	if err := os.Chown(own, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	return own
}

// TestTheEditorBeginsAsKeepersudoDid: what keepersudo's own entry point changes for its
// runtime, a variable, a limit and how late timers may be, no editor has.
func TestTheEditorBeginsAsKeepersudoDid(t *testing.T) {
	dir := reachable(t)
	conf, editor := filepath.Join(dir, "conf"), filepath.Join(dir, "editor")
	if err := errors.Join(os.WriteFile(conf, []byte("one\n"), 0o644), os.WriteFile(editor, []byte(`env | grep GO; ulimit -Sn; cat /proc/self/timerslack_ns`), 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, policyOf("edit", "ALLOW", `, "ApplicationCheck": ["{approot}/keeperedit"], "Extension": {"AllowCommands": ["{approot}/keeperedit --serve {path:`+conf+`}"]}`), nil)
	slack, err := os.ReadFile("/proc/self/timerslack_ns")
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"", "GOGC=50\n"} {
		cmd := a.Sudo(t.Context(), 4242, "-e", conf)
		cmd.Env = append(cmd.Env, "EDITOR=/bin/sh "+editor, "TMPDIR="+ownFolder(t, dir))
		if set != "" {
			cmd.Env = append(cmd.Env, strings.TrimSpace(set))
		}
		cmd.Args = append([]string{"sh", "-c", `ulimit -Sn 123; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		want := set + "123\n" + string(slack)
		if out, err := cmd.Output(); err != nil || string(out) != want {
			t.Errorf("%v: %q; want %q", err, out, want)
		}
	}
}

// A policy that names the command by its text alone leaves the place of the file to
// whoever can write there: keeperedit refuses it, unless nobody can.
func TestEditWhereOthersCanExchange(t *testing.T) {
	dir := reachable(t)
	theirs := filepath.Join(dir, "theirs")
	if err := errors.Join(os.Mkdir(theirs, 0o777), os.Chmod(theirs, 0o777), os.WriteFile(theirs+"/conf", []byte("one\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, policyOf("edit", "ALLOW", `, "ApplicationCheck": ["{approot}/keeperedit"], "Extension": {"AllowCommands": ["{approot}/keeperedit --serve *"]}`), nil)
	cmd := a.Sudo(t.Context(), 4242, "-e", theirs+"/conf")
	cmd.Env = append(cmd.Env, "EDITOR=/bin/true", "TMPDIR="+ownFolder(t, dir))
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "can put another file in its place") {
		t.Errorf("%v: %s", err, out)
	}
	// "--serve /proc/self/fd/0 < FILE" would open for writing what was only read.
	cmd = a.Sudo(t.Context(), 4242, filepath.Join(a.Root, "keeperedit"), "--serve", "/proc/self/fd/0")
	passwd, err := os.Open("/etc/passwd")
	if err != nil {
		t.Fatal(err)
	}
	defer passwd.Close()
	cmd.Stdin = passwd
	if out, err := cmd.CombinedOutput(); err == nil || strings.Contains(string(out), "root:") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestEditAtATerminal: the editor has the person's terminal to itself, its Ctrl-C
// included, and a reason is asked for before it starts.
func TestEditAtATerminal(t *testing.T) {
	dir := reachable(t)
	conf, editor := filepath.Join(dir, "conf"), filepath.Join(dir, "editor")
	if err := errors.Join(os.WriteFile(conf, []byte("one\n"), 0o644), os.WriteFile(editor, []byte(`trap "echo interrupted" INT
printf "line? "; read line || read line; echo "$line" >> "$1"
`), 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, policyOf("edit", "JUSTIFY", `, "ApplicationCheck": ["{approot}/keeperedit"], "Extension": {"AllowCommands": ["{approot}/keeperedit --serve {path:`+conf+`}"]}`), nil)
	s := sitDown(t, a, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "EDITOR=/bin/sh "+editor, "TMPDIR="+ownFolder(t, dir))
	}, "keepersudo", "-e", conf)
	before := s.settings()
	s.until("eason")
	s.types("a new name\r")
	s.until("line? ")
	s.types("\x03")
	s.until("interrupted")
	s.types("two\r")
	if status := s.ends(); status != 0 {
		t.Errorf("status %d: %q", status, s.term.Output())
	}
	if after := s.settings(); after != before {
		t.Errorf("settings before %s, after %s", before, after)
	}
	if now, err := os.ReadFile(conf); err != nil || string(now) != "one\ntwo\n" {
		t.Errorf("it holds %q, %v: %q", now, err, s.term.Output())
	}
}

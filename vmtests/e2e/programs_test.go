//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/apart"
)

// TestWhatIsNoProgram: policy allows everything, and still only a regular
// executable file runs. Each refusal says what the caller named instead.
func TestWhatIsNoProgram(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	dir := reachable(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	script := func(name, text string) { // the caller's own
		if err := errors.Join(os.WriteFile(at(name), []byte(text), 0o755), os.Chmod(at(name), 0o755), os.Chown(at(name), 4242, 4242)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(
		syscall.Mkfifo(at("fifo"), 0o777), syscall.Mknod(at("device"), syscall.S_IFCHR|0o777, 1<<8|7), // full(4)
		os.Chmod(at("fifo"), 0o777), os.Chmod(at("device"), 0o777),
		os.Mkdir(at("private"), 0o700), os.WriteFile(at("text"), []byte("#!/bin/sh\nid\n"), 0o644),
		os.Symlink(at("nothing"), at("dangling")), os.Symlink(at("loop"), at("loop")),
	); err != nil {
		t.Fatal(err)
	}
	script("private/tool", "#!/bin/sh\nid\n")
	script("owninterpreter", "#!"+at("fine")+"\n")
	script("nointerpreter", "#!/nonexistent/interpreter\n")
	script("fine", "#!/bin/sh\necho it ran as $(id -u)\n")
	script("secret", "#!/bin/sh\nid\n")
	if err := errors.Join(os.Chown(at("secret"), 0, 0), os.Chmod(at("secret"), 0o700), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what, command string
		status        int
		says          string // "" is the output of one that runs
	}{
		{"a script of the caller's own", at("fine"), 0, ""},
		{"a file that only root may read", at("secret"), 0, "uid=0"}, // whether it may run is policy's decision
		{"a FIFO", at("fifo"), 2, "is not a regular file"},
		{"a device", at("device"), 2, "is not a regular file"},
		{"a directory", dir, 2, "is not a regular file"},
		{"a socket", filepath.Join(a.Root, "run/door.sock"), 2, "is not a regular file"},
		{"a file that nobody may execute", at("text"), 2, "is not executable"},
		{"a file in a directory that is closed to the caller", at("private/tool"), 126, "permission denied"},
		{"nothing", at("nothing"), 127, "no such file"},
		{"a link to nothing", at("dangling"), 127, "no such file"},
		{"a link to itself", at("loop"), 126, "too many levels of symbolic links"},
		{"below a file", at("text") + "/tool", 127, "no such file"},
		{"a script for a script", at("owninterpreter"), 2, "it must be there, be no script itself"},
		{"a script for nothing", at("nointerpreter"), 2, "it must be there, be no script itself"},
		{"a bare name of nothing", "no-such-program", 127, "no-such-program"},
		{"a directory on the secure path", ".", 127, ""},
		{"what is only on the caller's PATH", "fine", 127, "fine"},
	} {
		cmd := a.Sudo(t.Context(), 4242, tc.command)
		cmd.Env = append(cmd.Env, "PATH="+dir)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tc.status {
			t.Errorf("%s (%s): exit status %d, expected %d: %s", tc.what, tc.command, got, tc.status, out)
		}
		if !strings.Contains(string(out), tc.says) || tc.status != 0 && !strings.HasPrefix(string(out), "keepersudo: ") {
			t.Errorf("%s (%s): %s, expected %q", tc.what, tc.command, out, tc.says)
		}
	}
}

// TestProgramsThatOneMayNotRead: who may execute a program and not read it runs
// a binary, and is told why a script does not run; who may not execute it is
// told that.
func TestProgramsThatOneMayNotRead(t *testing.T) {
	a := newAgent(t, asAnybody(allowAll), nil)
	dir := reachable(t)
	binary, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what, text string
		mode       os.FileMode
		target     string
		status     int
		says       string
	}{
		{"a binary to execute", string(binary), 0o711, "nobody", 0, "uid=65534"},
		{"a script to execute", "#!/bin/sh\nid\n", 0o711, "nobody", 2, "would run as nobody, who may execute it and not read it"},
		{"a script to execute, as root", "#!/bin/sh\nid\n", 0o711, "root", 0, "uid=0"},
		{"a script of 0100", "#!/bin/sh\nid\n", 0o100, "nobody", 2, "would run as nobody, who may not execute it"},
		{"a binary of 0100", string(binary), 0o100, "nobody", 2, "would run as nobody, who may not execute it"},
		{"a script of 0100, as root", "#!/bin/sh\nid\n", 0o100, "root", 0, "uid=0"},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(tc.what, " ", "-"))
		if err := errors.Join(os.WriteFile(path, []byte(tc.text), 0o600), os.Chown(path, 4242, 4242), os.Chmod(path, tc.mode)); err != nil {
			t.Fatal(err)
		}
		cmd := a.Sudo(t.Context(), 4242, "-u", tc.target, path)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != tc.status || !strings.Contains(string(out), tc.says) || strings.Contains(string(out), "descriptor") {
			t.Errorf("%s: exit status %d, %s; expected %d, %q", tc.what, got, out, tc.status, tc.says)
		}
	}
}

// fuse mounts a user-space file system over a directory that holds a program
// and a file, and returns where they are and the daemon.
func fuse(t *testing.T) (mounted string, daemon *exec.Cmd) {
	t.Helper()
	source, mounted := reachable(t), reachable(t)
	if err := errors.Join(
		os.WriteFile(filepath.Join(source, "program"), []byte("#!/bin/sh\nid -u\n"), 0o755),
		os.WriteFile(filepath.Join(source, "file"), []byte("text\n"), 0o666),
		os.Chmod(filepath.Join(source, "file"), 0o666), os.Chmod(source, 0o777),
	); err != nil {
		t.Fatal(err)
	}
	// What has been looked up once is remembered: the callers reach the service
	// even when the daemon no longer answers.
	daemon = exec.Command("bindfs", "-f", "-o", "allow_other,attr_timeout=600,entry_timeout=600", source, mounted)
	var said bytes.Buffer
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGCONT)
		_ = syscall.Unmount(mounted, syscall.MNT_DETACH)
		_ = daemon.Process.Kill()
		_ = daemon.Wait()
	})
	eventually(t, "the file system is mounted", func() bool {
		_, err := os.Stat(filepath.Join(mounted, "program"))
		return err == nil
	})
	return mounted, daemon
}

// TestProgramOnFUSE: its bytes are whatever a daemon says from one read to the
// next, and the caller may be that daemon.
func TestProgramOnFUSE(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	mounted, _ := fuse(t)
	out, err := a.Sudo(t.Context(), 4242, filepath.Join(mounted, "program")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "fuse") || !strings.Contains(string(out), "copy it to a local one") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestHungFUSE: callers whose program, working directory and descriptors 0 to 2
// lie on a file system whose daemon answers nothing. Nobody else waits, and
// when the daemon goes on, they come to their end.
func TestHungFUSE(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	mounted, daemon := fuse(t)
	// More callers than one user may have.
	caller := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/caller.py", a.Root, mounted, "40")
	caller.Stderr = os.Stderr
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	caller.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	stdin, err := caller.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := caller.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 100)
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			said <- lines.Text()
		}
	}()
	if got := <-said; got != "ready" {
		t.Fatalf("the caller said %q", got)
	}

	if err := daemon.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	stopped(t, daemon.Process.Pid)
	if _, err := io.WriteString(stdin, "go\n"); err != nil {
		t.Fatal(err)
	}
	if got := <-said; got != "sent" {
		t.Fatalf("the caller said %q", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i := range 10 {
		if out, err := a.Sudo(ctx, 4343, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
			t.Fatalf("another user's request %d: %v: %s\n%s", i, err, out, a.Log())
		}
	}
	select {
	case answer := <-said:
		t.Errorf("the first one has its answer, so that nothing has been tested: %s", answer)
	default:
	}

	if err := daemon.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	answers := map[string]int{}
	for answer := range said {
		kind, _, _ := strings.Cut(answer, " ")
		answers[kind]++
		if kind == "closed" || kind == "refused" && !strings.Contains(answer, "the most that one may have") && !strings.Contains(answer, "fuse file system") {
			t.Errorf("a caller heard %s", answer)
		}
	}
	if err := caller.Wait(); err != nil || answers["exit"] == 0 || answers["exit"]+answers["refused"] != 40 {
		t.Errorf("answers: %v, %v", answers, err)
	}
	eventually(t, "every request has ended", func() bool {
		for _, types := range journal(t, a) {
			if !final(types) {
				return false
			}
		}
		return true
	})
	if out, err := a.Sudo(ctx, 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("the same user's next request: %v: %s", err, out)
	}
}

// stopped waits until a process has been stopped by a signal.
func stopped(t *testing.T, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("process %d is stopped", pid), func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Contains(stat, []byte(") T "))
	})
}

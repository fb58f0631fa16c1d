//go:build linux

// Package apart runs tests where /etc and the machine's name are their own, so
// that they have the users and groups they need, and can change them, without
// touching the machine that they run on.
//
// It is for tests that start an agent beside others. What needs a machine of its
// own (PAM, services, a package manager) is in package machine.
package apart

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// Marker is a file that only an /etc of ours has.
const Marker = "/etc/kpm-apart"

// Main calls run in a place of its own. It is the whole of a TestMain and does
// not return.
func Main(run func()) {
	if Inside() {
		run()
		os.Exit(0) // run has said what became of it
	}
	status, err := again()
	if err != nil {
		fmt.Fprintln(os.Stderr, "apart:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// Inside reports whether this process is in such a place.
func Inside() bool {
	_, err := os.Stat(Marker)
	return err == nil
}

// again runs this program once more, in a mount and host name namespace in which
// /etc is a copy that lies in memory.
func again() (status int, err error) {
	const prepared = "KPM_APART"
	if dir := os.Getenv(prepared); dir != "" {
		if err := furnish(dir); err != nil {
			return 1, err
		}
		os.Unsetenv(prepared)
		return 1, syscall.Exec("/proc/self/exe", os.Args, os.Environ())
	}
	dir, err := os.MkdirTemp("", "kpm-apart-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	// The kernel ends the tests with the thread that has started them.
	runtime.LockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), prepared+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS, Pdeathsig: syscall.SIGQUIT}
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		return 1, err
	}
	return cmd.ProcessState.ExitCode() & 0xff, nil
}

// furnish lays an overlay of memory over /etc.
func furnish(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	upper, work := filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	if err := syscall.Mount("overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("mount an overlay on /etc: %w", err)
	}
	return os.WriteFile(Marker, nil, 0o644)
}

// Person makes sure that a uid has an account, called "person" and its number,
// with a group of the same number and name. Outside it does nothing.
func Person(uid uint32) error {
	if !Inside() {
		return nil
	}
	// Other processes of the test add people too.
	lock, err := os.Open(Marker)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", Marker, err)
	}
	name := Name(uid)
	if err := add("/etc/passwd", fmt.Sprintf("%s:x:%d:%d::/:/bin/sh\n", name, uid, uid), uid); err != nil {
		return err
	}
	return add("/etc/group", fmt.Sprintf("%s:x:%d:\n", name, uid), uid)
}

// Name is what Person calls a uid that had no account.
func Name(uid uint32) string { return fmt.Sprintf("person%d", uid) }

// add appends a line to a file, unless one has the number in its third field.
func add(path, line string, number uint32) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	for there := range strings.Lines(string(data)) {
		if fields := strings.Split(there, ":"); len(fields) > 2 && fields[2] == fmt.Sprint(number) {
			return nil
		}
	}
	// Whole, by rename: another process reads it meanwhile.
	next, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".")
	if err != nil {
		return err
	}
	_, err = next.Write(append(data, line...))
	return errors.Join(err, next.Chmod(0o644), next.Close(), os.Rename(next.Name(), path))
}

//go:build linux

package linux

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// startHelper starts a program of the agent's at path, which must belong to root and
// be writable by no one else. It inherits a connection, at descriptor 3, and nothing
// else of the service's but messages, where it may write what went wrong; nil is
// nowhere. It is in our session, where the launcher leaves it to whoever started it,
// and in a process group of its own: signals from a terminal are the service's.
func startHelper(path string, environ []string, messages *os.File) (pid int, conn *os.File, err error) {
	program, err := openHelper(path)
	if err != nil {
		return 0, nil, err
	}
	defer program.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, nil, err
	}
	defer null.Close()
	if messages == nil {
		messages = null
	}
	ours, theirs, err := connection()
	if err != nil {
		return 0, nil, err
	}
	defer theirs.Close()
	pid, err = syscall.ForkExec(procFd(int(program.Fd())), []string{filepath.Base(path)}, &syscall.ProcAttr{
		Dir: "/", Env: environ, Files: []uintptr{null.Fd(), null.Fd(), messages.Fd(), theirs.Fd()},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		ours.Close()
		return 0, nil, fmt.Errorf("start %s: %w", path, err)
	}
	return pid, ours, nil
}

//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// getentPath is the C library's own program for its databases.
	getentPath = "/usr/bin/getent"
	// getentTime bounds one question; what a directory does not answer by then
	// has no answer.
	getentTime = 2 * time.Second
	// maxAnswer bounds what is read, in bytes: the members of a group are in it.
	maxAnswer = 1 << 20
	// getentMissing is the exit status for a key that is not there.
	getentMissing = 2
)

// getent runs getent(1) as a user of its own, with no privilege, no environment
// and nothing open but its answer: modules of directories run in it, and read
// what others have written.
func getent(arguments ...string) (answer []byte, found bool, err error) {
	program, err := openHelper(getentPath)
	if err != nil {
		return nil, false, err
	}
	defer program.Close()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, false, err
	}
	defer null.Close()
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, false, err
	}
	defer ours.Close()
	// In our session, where the launcher leaves it to whoever started it.
	pid, err := startUnprivileged(procFd(int(program.Fd())), append([]string{"getent"}, arguments...), &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{null.Fd(), theirs.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setpgid: true},
	}, firstConfined+rand.Uint32N(confinedIDs))
	theirs.Close()
	if err != nil {
		return nil, false, fmt.Errorf("start getent: %w", err)
	}
	pidfd, err := openPidfd(pid)
	if err != nil {
		unix.Kill(pid, unix.SIGKILL) // not reaped yet: the number is its own
		unix.Wait4(pid, nil, 0, nil)
		return nil, false, err
	}
	answer, err = answerOf(ours)
	if err != nil {
		kill(pidfd)
	}
	status, waitErr := reapWithin(pid, pidfd, discardTime)
	switch {
	case err != nil || waitErr != nil:
		return nil, false, errors.Join(err, waitErr)
	case status.Exited() && (status.ExitStatus() == 0 || status.ExitStatus() == getentMissing):
		return answer, status.ExitStatus() == 0, nil
	}
	return nil, false, fmt.Errorf("getent: wait status %#x", uint32(status))
}

// answerOf reads everything that is written in time.
func answerOf(r *os.File) ([]byte, error) {
	if err := r.SetReadDeadline(time.Now().Add(getentTime)); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("getent: an answer of more than %d bytes", maxAnswer)
	}
	return answer, err
}

// reapWithin waits for a child that has closed its output, or was killed.
//
// Attack: a directory's module closes its output and goes on, or hangs in the
// kernel. Whoever asked waits no longer; a goroutine does, which ends with the
// process.
func reapWithin(pid int, pidfd *os.File, limit time.Duration) (unix.WaitStatus, error) {
	type end struct {
		status unix.WaitStatus
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		var e end
		for {
			if _, e.err = unix.Wait4(pid, &e.status, 0, nil); e.err != unix.EINTR {
				break
			}
		}
		pidfd.Close()
		ended <- e
	}()
	select {
	case e := <-ended:
		return e.status, e.err
	case <-time.After(limit):
	}
	kill(pidfd)
	select {
	case e := <-ended:
		return e.status, e.err
	case <-time.After(limit):
		return 0, fmt.Errorf("getent does not end: %w", os.ErrDeadlineExceeded)
	}
}

// kill ends the process of a pidfd, which may have ended.
func kill(pidfd *os.File) {
	_ = onDescriptor(pidfd, func(fd int) error { return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) })
}

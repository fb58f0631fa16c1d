//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/platform/linux/held"
)

// child is one helper and, after its exec, the program that it became, or, if
// the program has a terminal, which it watches. It is both port.Held and
// port.Process: one process is both.
type child struct {
	launcher *Launcher
	id       core.ProcessID
	cgroup   string // its directory, or ""
	group    string
	conn     *os.File // to the helper; closed when it has been released
	watched  bool     // the helper stays, and the program is its child
	outlives bool     // how it ends is kept in a file
	pidfd    *os.File

	mu     sync.Mutex // held while it is reaped or signalled
	reaped bool

	told chan struct{} // closed when its helper has told how it ended
	end  core.ExitStatus

	done   chan struct{} // closed when it has ended, or nobody watches any more
	status core.ExitStatus
	err    error
	after  func() // called when it has ended; mu is held for it and over
	over   bool
}

var (
	_ port.Held    = (*child)(nil)
	_ port.Process = (*child)(nil)
)

// ID implements port.Held and port.Process.
func (c *child) ID() core.ProcessID { return c.id }

// Group implements port.Held.
func (c *child) Group() string { return c.group }

// Release implements port.Held. A helper that is killed between its release
// and its exec looks like a program that was killed at its first instruction.
func (c *child) Release(ctx context.Context) (port.Process, error) {
	if err := ctx.Err(); err != nil { // what nobody waits for any more does not run
		c.Discard()
		return nil, fmt.Errorf("launch: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	_, err := c.conn.Write([]byte{held.Go})
	// Its end of the connection closes by exec, or with a report; the report
	// may have come before the release.
	report, readErr := io.ReadAll(io.LimitReader(c.conn, held.ReportSize+1))
	switch {
	case len(report) > 0:
		err = reportError(report)
	case err == nil && readErr == nil:
		c.conn.Close()
		return c, nil
	default:
		err = fmt.Errorf("the helper ended: %w", errors.Join(err, readErr))
	}
	c.Discard()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("launch: %w", err)
}

// discardTime is how long a child that was killed is waited for.
const discardTime = time.Second

// Discard implements port.Held.
//
// Attack: one of its descriptors is a file on the caller's own file system
// (FUSE), which the kernel asks when exec closes it, and which does not answer.
// Not even a signal ends that wait. Nothing runs after it all the same.
func (c *child) Discard() {
	// What is to become the program may be another process than c. It sees the
	// end of the connection too, but would take that for the end of this service.
	c.conn.Write([]byte{held.Drop})
	c.conn.Close()
	c.signal(c.id.PID, unix.SIGKILL)
	select {
	case <-c.done:
	case <-time.After(discardTime):
	}
	if c.outlives {
		c.launcher.Forget(c.id)
	}
}

// End implements port.Process.
func (c *child) End(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-c.told:
		return c.end, nil
	case <-c.done:
		return c.status, c.err
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

// Wait implements port.Process.
func (c *child) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-c.done:
		return c.status, c.err
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

// numbers are what the kernel has for each signal.
var numbers = map[signal.Signal]syscall.Signal{
	signal.Hangup: unix.SIGHUP, signal.Interrupt: unix.SIGINT, signal.Quit: unix.SIGQUIT, signal.Terminate: unix.SIGTERM,
	signal.Stop: unix.SIGSTOP, signal.Continue: unix.SIGCONT, signal.Kill: unix.SIGKILL, signal.Winch: unix.SIGWINCH,
	signal.User1: unix.SIGUSR1, signal.User2: unix.SIGUSR2, signal.Alarm: unix.SIGALRM, signal.Suspend: unix.SIGTSTP,
}

// Signal implements port.Process.
func (c *child) Signal(s signal.Signal) error {
	number, ok := numbers[s]
	if s == signal.Suspend && !c.watched {
		// The kernel discards SIGTSTP where nobody could let the program go on.
		number = unix.SIGSTOP
	}
	if !ok {
		return fmt.Errorf("signal %s: %w", s, errors.ErrUnsupported)
	}
	return c.signal(-c.id.PID, number)
}

// signal sends sig to the process or, negative, to its process group, unless
// it has been reaped: then both numbers may be somebody else's.
func (c *child) signal(pid int, sig syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return os.ErrProcessDone
	}
	return unix.Kill(pid, sig)
}

// Kill implements port.Process.
func (c *child) Kill() error {
	_, err := c.launcher.tree.KillGroups(port.Group{Root: c.id, Name: c.group})
	return err
}

// ended reports whether the process is gone.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// makeCgroup makes a cgroup in home for c to be born in.
func (c *child) makeCgroup(home string) (*os.File, error) {
	made, err := makeCgroup(home)
	if err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	dir, err := openDir(made)
	if err != nil {
		unix.Rmdir(made)
		return nil, fmt.Errorf("open the cgroup: %w", err)
	}
	c.cgroup, c.group = made, cgroupName(made)
	return dir, nil
}

// watch waits for the end without occupying a thread: the pidfd becomes
// readable.
func (c *child) watch() {
	defer c.launcher.watchers.Done()
	raw, err := c.pidfd.SyscallConn()
	if err == nil {
		err = raw.Read(func(uintptr) bool { return c.reap() })
	}
	if !c.reaped {
		c.err = fmt.Errorf("wait for %s: %w", c.id, err)
	}
	c.pidfd.Close()
	close(c.done) // first: whoever waits need not wait for a fork as well
	c.launcher.ended(c)
	c.mu.Lock()
	c.over = true
	after := c.after
	c.mu.Unlock()
	if after != nil {
		after()
	}
}

// whenEnded has do called once, when the process has ended. do does not wait.
func (c *child) whenEnded(do func()) {
	c.mu.Lock()
	if !c.over {
		c.after = do
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	do()
}

// reap takes the exit status if there is one by now.
func (c *child) reap() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var status unix.WaitStatus
	for {
		pid, err := unix.Wait4(c.id.PID, &status, unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil: // somebody else reaped it
			c.err = fmt.Errorf("wait for %s: %w", c.id, err)
		case pid == 0:
			return false
		default:
			c.status = exitStatus(syscall.WaitStatus(status))
		}
		c.reaped = true
		return true
	}
}

// ErrChanged is wrapped by Release for a script whose path no longer names the
// file that was approved.
var ErrChanged = errors.New("the script is no longer the file that was approved")

func reportError(b []byte) error {
	report, ok := held.DecodeReport(b)
	switch {
	case !ok:
		return errors.New("the helper answered with something else than a report")
	case report.Step == held.StepScript && report.Errno == 0:
		return ErrChanged
	case report.Errno == 0:
		return errors.New(report.Step.String())
	}
	return explain(fmt.Errorf("%s: %w", report.Step, report.Errno))
}

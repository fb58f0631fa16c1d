//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/linux/held"
)

// take returns a waiting helper, or a new one if none waits. The next is made after
// pause.
func (l *Launcher) take(ctx context.Context, pause time.Duration) (*child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c := <-l.ready:
		select {
		case l.refill <- pause:
		default:
		}
		return c, nil
	default:
		return l.spawn()
	}
}

// noHelper says why there is no helper, and what can be done.
func (l *Launcher) noHelper(err error) error {
	if seedGone(err) {
		return fmt.Errorf("%s has ended by itself (%w); if it does so again, install the agent again", l.helper.Name(), err)
	}
	return explain(err)
}

// seedGone reports whether err is that the seed was not there any more: somebody has ended
// it twice in a row, or it is another program.
func seedGone(err error) bool {
	return slices.ContainsFunc([]error{errVanished, unix.ECONNRESET, unix.EPIPE, io.EOF, io.ErrUnexpectedEOF},
		func(end error) bool { return errors.Is(err, end) })
}

// plant starts the seed, unless it lives. l.mu is held.
func (l *Launcher) plant() error {
	if l.seed != nil && !l.seed.ended() {
		return nil
	}
	ours, theirs, err := connection()
	if err != nil {
		return err
	}
	defer theirs.Close()
	// Before its exec, package syscall moves a descriptor of its own to the number
	// after the highest that the child gets. That must not be the helper's.
	high, err := unix.FcntlInt(theirs.Fd(), unix.F_DUPFD_CLOEXEC, int(l.helper.Fd())+1)
	if err != nil {
		ours.Close()
		return err
	}
	defer unix.Close(high)
	ends, err := unix.FcntlInt(uintptr(l.endings.theirs), unix.F_DUPFD_CLOEXEC, int(l.helper.Fd())+1)
	if err != nil {
		ours.Close()
		return err
	}
	defer unix.Close(ends)
	null := l.null.Fd()
	pid, err := syscall.ForkExec(procFd(int(l.helper.Fd())), []string{held.Name}, &syscall.ProcAttr{
		Dir: "/", Env: held.Environ, Files: []uintptr{null, null, null, uintptr(high), uintptr(ends)},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		ours.Close()
		return err
	}
	c := l.newChild(ours)
	if err := l.adopt(c, pid); err != nil {
		ours.Close()
		return err
	}
	l.seed = c
	return nil
}

// openPidfd returns a pidfd that the runtime can wait for without a thread.
func openPidfd(pid int) (*os.File, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err == unix.EINVAL { // a kernel before 5.10
		if fd, err = unix.PidfdOpen(pid, 0); err == nil {
			err = unix.SetNonblock(fd, true)
		}
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return nil, fmt.Errorf("pidfd: %w", err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

func (l *Launcher) newChild(conn *os.File) *child {
	return &child{launcher: l, conn: conn, told: make(chan struct{}), done: make(chan struct{})}
}

// adopt begins to watch the process pid, a child that nobody else knows of: its
// number is its own until it is reaped here. l.mu is held.
func (l *Launcher) adopt(c *child, pid int) error {
	stat, err := statOf(pid)
	if err == nil && stat.dead() {
		err = vanished(pid, unix.ESRCH)
	}
	if err == nil {
		c.pidfd, err = openPidfd(pid)
	}
	if err != nil {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, 0, nil)
		return err
	}
	c.id = core.ProcessID{PID: pid, Start: stat.start}
	l.children[pid] = c
	l.watchers.Add(1)
	go c.watch()
	return nil
}

// leaveCgroup remembers c's cgroup for removal. l.mu is held.
func (l *Launcher) leaveCgroup(c *child) {
	if c.cgroup != "" {
		l.lingering = append(l.lingering, c.cgroup)
	}
}

// ended forgets a child that has been reaped.
func (l *Launcher) ended(c *child) {
	l.mu.Lock()
	delete(l.children, c.id.PID)
	l.leaveCgroup(c)
	l.mu.Unlock()
	notify(l.swept)
}

// tend refills the pool and clears up, off every launch's path.
func (l *Launcher) tend() {
	defer close(l.tended)
	orphans := make(chan os.Signal, 1)
	signal.Notify(orphans, unix.SIGCHLD)
	defer signal.Stop(orphans)
	var again <-chan time.Time
	wanted := time.After(0)
	for {
		select {
		case <-l.stop:
			return
		case pause := <-l.refill:
			if wanted == nil {
				wanted = time.After(pause)
			}
		case <-wanted:
			wanted = l.fill()
		case <-again:
			again = l.removeCgroups()
		case <-orphans:
			l.reapOrphans()
			again = l.lookSoon(again)
		case <-l.swept:
			l.reapOrphans()
			again = l.lookSoon(again)
		}
	}
}

// fill starts one helper and says when to start the next, or nil if the pool
// is full by then.
func (l *Launcher) fill() <-chan time.Time {
	if len(l.ready) == cap(l.ready) {
		return nil
	}
	c, err := l.spawn()
	if err != nil { // whoever needs one will hear of it
		return time.After(time.Second)
	}
	select {
	case l.ready <- c:
	default:
		c.Discard()
	}
	if len(l.ready) == cap(l.ready) {
		return nil // whoever takes one says so
	}
	return time.After(0)
}

// notify wakes a goroutine that looks at everything each time it is woken.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

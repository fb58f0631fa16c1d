//go:build linux

package linux

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"kpm/platform/linux/held"
)

// maxForks is how many helpers the seed is asked for at once.
const maxForks = 8

// spawn makes a helper. It may find that the seed was killed; a new one must do.
//
// Who waits for the lock meanwhile has theirs made together with this one: before the
// seed answers, it and the service must both have had a turn at a processor, and in a
// crowd that takes ten times as long as a fork.
func (l *Launcher) spawn() (*child, error) {
	l.wanting.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.wanting.Add(-1)
	if len(l.made) == 0 {
		n := l.together()
		made, err := l.fork(n)
		if len(made) == 0 && l.seed != nil && l.seed.ended() {
			made, err = l.fork(n)
		}
		l.refused = len(made) == 0
		if l.refused {
			return nil, fmt.Errorf("start a helper: %w", l.noHelper(err))
		}
		l.made = made
	}
	c := l.made[0]
	l.made = l.made[1:]
	return c, nil
}

// together is how many helpers are to be asked for. Where none could be had the last
// time, several would be asked for in vain by each who waits. l.mu is held.
func (l *Launcher) together() int {
	if l.refused {
		return 1
	}
	return int(min(l.wanting.Load(), maxForks))
}

// fork asks the seed for n helpers and returns those that there are, with the reason if
// there are fewer. l.mu is held.
func (l *Launcher) fork(n int) (made []*child, err error) {
	if l.closed {
		return nil, errClosed
	}
	if err := l.plant(); err != nil {
		return nil, err
	}
	var asked []*child
	for len(asked) < n && err == nil {
		var c *child
		if c, err = l.request(); err == nil {
			asked = append(asked, c)
		}
	}
	for i, c := range asked {
		pid, errno, failed := l.seed.answer()
		if failed != nil { // the seed is out of step, and ended: it tells of no other
			for _, c := range asked[i:] {
				l.abandon(c)
			}
			return made, failed
		}
		if errno != 0 {
			failed = errno
		} else {
			failed = l.adopt(c, pid)
		}
		if failed != nil {
			err = failed
			l.abandon(c)
			continue
		}
		made = append(made, c)
	}
	return made, err
}

// request asks the seed for one helper, which is to be born in a cgroup of its own.
func (l *Launcher) request() (*child, error) {
	ours, theirs, err := connection()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	c := l.newChild(ours)
	files := []*os.File{theirs}
	if l.home != "" {
		dir, err := c.makeCgroup(l.home)
		if err != nil {
			ours.Close()
			return nil, err
		}
		defer dir.Close()
		files = append(files, dir)
	}
	if err := l.seed.ask(files); err != nil {
		l.abandon(c)
		return nil, err
	}
	return c, nil
}

// abandon gives up a helper that was asked for: if there is one that nobody watches, it
// sees the end of its connection, and is reaped as an orphan. l.mu is held.
func (l *Launcher) abandon(c *child) {
	c.conn.Close()
	l.leaveCgroup(c)
}

// ask has the seed c make a helper with files.
func (c *child) ask(files []*os.File) error {
	err := c.conn.SetDeadline(time.Now().Add(sendTime))
	if err == nil {
		_, err = sendFiles(c.conn, []byte{1}, files)
	}
	if err != nil {
		c.Discard() // whatever it is about, it is out of step
	}
	return err
}

// answer returns the pid of the first helper that the seed c was asked for and has not
// told of, or the errno by which there is none.
func (c *child) answer() (pid int, errno syscall.Errno, err error) {
	var reply [held.ReplySize]byte
	if _, err := io.ReadFull(c.conn, reply[:]); err != nil {
		c.Discard()
		return 0, 0, err
	}
	return int(binary.NativeEndian.Uint32(reply[:])), syscall.Errno(binary.NativeEndian.Uint32(reply[4:])), nil
}

//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/held"
)

// maxForks is how many helpers the seed is asked for at once.
const maxForks = 8

// order is a helper that somebody waits for.
type order struct {
	child *child
	files []*os.File // for the seed: its end of the child's connection, and the child's cgroup
	done  bool       // there is one, or err says why not
	err   error
	again bool // it failed for want of a seed: another one may do it
}

// errNotAsked says that an order was lost, which nothing but a fault of this file does.
var errNotAsked = errors.New("a helper was not asked for")

// spawn makes a helper. It may find that the seed was killed; a new one must do.
func (l *Launcher) spawn() (*child, error) {
	o, err := l.ordered()
	if err == nil && o.err != nil && o.again {
		o, err = l.ordered()
	}
	if err == nil {
		err = o.err
	}
	if err != nil {
		return nil, fmt.Errorf("start a helper: %w", l.noHelper(err))
	}
	return o.child, nil
}

// ordered has the seed asked for one helper.
//
// What is this helper's own is made without the lock, and who waits for the lock
// meanwhile has theirs asked for together with this one: before the seed answers, it and
// the service must both have had a turn at a processor, and in a crowd that takes ten
// times as long as a fork.
func (l *Launcher) ordered() (*order, error) {
	o, err := l.newOrder()
	if err != nil {
		return nil, err
	}
	defer o.close()
	l.waiting.add(o)
	for done := false; !done; {
		done = l.asked(o)
	}
	return o, nil
}

// asked has the seed asked for those who have waited longest, unless o is done, and
// reports whether it is.
func (l *Launcher) asked(o *order) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.done {
		return true
	}
	list := l.waiting.take(maxForks)
	l.fork(list)
	if len(list) == 0 {
		o.done, o.err = true, errNotAsked
	}
	return o.done
}

// newOrder prepares a helper that is to be born in a cgroup of its own.
func (l *Launcher) newOrder() (*order, error) {
	ours, theirs, err := connection()
	if err != nil {
		return nil, err
	}
	o := &order{child: l.newChild(ours), files: []*os.File{theirs}}
	if l.home == "" {
		return o, nil
	}
	dir, err := o.child.makeCgroup(l.home)
	if err != nil {
		ours.Close()
		theirs.Close()
		return nil, err
	}
	o.files = append(o.files, dir)
	return o, nil
}

func (o *order) close() {
	for _, f := range o.files {
		f.Close()
	}
}

// orders are those for which the seed has not been asked yet, the oldest first.
type orders struct {
	mu   sync.Mutex
	list []*order
}

func (w *orders) add(o *order) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, o)
}

// take takes out the oldest n, or fewer.
func (w *orders) take(n int) []*order {
	w.mu.Lock()
	defer w.mu.Unlock()
	n = min(n, len(w.list))
	taken := slices.Clone(w.list[:n])
	w.list = slices.Delete(w.list, 0, n)
	return taken
}

// fork asks the seed for helpers, and says in each order what has become of it. l.mu is
// held.
func (l *Launcher) fork(list []*order) {
	var err error
	if l.closed {
		err = errClosed
	} else {
		err = l.plant()
	}
	asked := 0
	for err == nil && asked < len(list) {
		if err = l.seed.ask(list[asked].files); err == nil {
			asked++
		}
	}
	var lost error // the seed is out of step, and ended: it tells of no other
	for i, o := range list {
		switch {
		case i >= asked:
			o.err = err
		case lost != nil:
			o.err = lost
		default:
			lost, o.err = l.receive(o)
		}
		o.done = true
		if o.err != nil {
			l.abandon(o.child)
		}
	}
	for _, o := range list {
		o.again = !l.closed && (l.seed == nil || l.seed.ended())
	}
}

// receive adopts the helper that the seed tells of, which is o's. lost is why it tells of
// none any more. l.mu is held.
func (l *Launcher) receive(o *order) (lost, err error) {
	pid, errno, lost := l.seed.answer()
	switch {
	case lost != nil:
		return lost, lost
	case errno != 0:
		return nil, errno
	}
	return nil, l.adopt(o.child, pid)
}

// abandon gives up a helper that there may be none of. If there is one that nobody
// watches, it sees the end of its connection, is reaped as an orphan, and keeps its
// cgroup until then. l.mu is held.
func (l *Launcher) abandon(c *child) {
	c.conn.Close()
	if c.cgroup != "" && unix.Rmdir(c.cgroup) != nil {
		l.leaveCgroup(c)
	}
	if l.closed { // which has removed it, perhaps, before this one was made in it
		l.removeEmptyHome()
	}
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

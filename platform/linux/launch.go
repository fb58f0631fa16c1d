//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
)

// Launcher starts programs by helpers that it keeps waiting, so that the time
// to start a process is not part of an elevation.
//
// Every child is the leader of a session of its own, and of a cgroup of its own
// where there is version 2. The launcher makes this process the reaper of
// whatever its children leave behind. Code that starts children in a session
// of their own and does not do it here must expect them to be reaped here.
type Launcher struct {
	helper *os.File
	null   *os.File
	home   string // directory of the cgroups, or ""
	ends   string // directory that says how programs ended, or ""
	tree   *Tree

	endings endings

	ready    chan *child        // helpers that wait
	refill   chan time.Duration // one was taken; when to make the next
	swept    chan struct{}      // something ended: look for orphans and empty cgroups
	stop     chan struct{}
	tended   chan struct{}
	watchers sync.WaitGroup

	waiting orders // for helpers

	mu        sync.Mutex // held while forking: a child is known before it is seen
	closed    bool
	seed      *child // makes the helpers
	children  map[int]*child
	lingering []string // cgroups to remove

	lookPause time.Duration // until the next look at these; tend's
}

var _ port.Launcher = (*Launcher)(nil)

// refillPause is how long after a helper was taken the next one is made: the
// launch and the command that it starts want the processors first. What this service
// starts for itself is waited for until it is connected.
const (
	refillPause        = 5 * time.Millisecond
	refillPauseService = 25 * time.Millisecond
)

// sendTime is how long a helper has to take in what it is to become.
const sendTime = 5 * time.Second

// errClosed is wrapped by what a closed launcher is asked for.
var errClosed = errors.New("the launcher is closed")

// NewLauncher returns a Launcher that keeps spare helpers (0 to 64) waiting.
// helper is the keeperlaunch executable; it must belong to root and be
// writable by no one else. cgroupParent is what DetectCgroup returned. ends is a
// directory, made when it is needed, in which helpers leave how programs ended
// that outlive this launcher; empty for none, then nothing does.
func NewLauncher(helper string, spare int, cgroupParent, ends string) (*Launcher, error) {
	if spare < 0 || spare > 64 {
		return nil, fmt.Errorf("launcher: %d spare helpers; 0 to 64 are possible", spare)
	}
	exe, err := openHelper(helper)
	if err != nil {
		return nil, fmt.Errorf("launcher: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		exe.Close()
		return nil, fmt.Errorf("launcher: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		exe.Close()
		null.Close()
		return nil, fmt.Errorf("launcher: become a reaper: %w", err)
	}
	told, err := newEndings()
	if err != nil {
		exe.Close()
		null.Close()
		return nil, fmt.Errorf("launcher: %w", err)
	}
	l := &Launcher{
		helper: exe, null: null, home: cgroupParent, ends: ends, tree: NewTree(), endings: told,
		ready: make(chan *child, spare), refill: make(chan time.Duration, 1), swept: make(chan struct{}, 1),
		stop: make(chan struct{}), tended: make(chan struct{}), children: map[int]*child{},
	}
	sweepCgroups(l.home)
	l.watchers.Go(l.listen)
	if spare > 0 {
		// A seed that cannot be executed is an error here. What it makes is waited for
		// by whoever needs it: a service has other things to do meanwhile.
		l.mu.Lock()
		err := l.plant()
		l.mu.Unlock()
		if err != nil {
			err = l.noHelper(err)
			close(l.tended)
			l.end()
			return nil, fmt.Errorf("launcher: start %s: %w", helper, err)
		}
	}
	go l.tend()
	return l, nil
}

// Tree is the process tree that the launcher looks into.
func (l *Launcher) Tree() *Tree { return l.tree }

// openHelper opens the helper once: what was checked is what is started, also
// after an upgrade has replaced the file.
func openHelper(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w; it is a part of the agent: install it again", path, err)
	}
	defer unix.Close(fd)
	at, err := file.RootAlone(fd, path)
	if err != nil {
		return nil, err
	}
	if !at.Regular() || at.Mode&0o111 == 0 {
		return nil, fmt.Errorf("%s: not an executable file: %w", path, core.ErrNotRegular)
	}
	// Above the descriptors that a helper starts with, which replace their
	// namesakes before its exec.
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(high), path), nil
}

// Prepare implements port.Launcher. It does not wait for the helper to have
// prepared itself; Release does.
func (l *Launcher) Prepare(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	c, err := l.prepare(ctx, spec, func(int) error { return nil })
	if err != nil {
		return nil, err // and no *child that is nil
	}
	return c, nil
}

// prepare is Prepare. settle is called with the pid of a helper before that is told
// anything, and may be again with another one's.
func (l *Launcher) prepare(ctx context.Context, spec port.LaunchSpec, settle func(pid int) error) (*child, error) {
	ends, err := l.openEnds(spec)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	if ends != nil {
		defer ends.Close()
	}
	told, files, control, err := translate(spec, l.null, ends)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	if control != nil {
		defer control.Close()
	}
	pause := refillPause
	if spec.As.RunAs == core.AsService {
		pause = refillPauseService
	}
	// A waiting helper may have been killed; a fresh one must do.
	for range cap(l.ready) + 1 {
		c, err := l.take(ctx, pause)
		if err != nil {
			return nil, fmt.Errorf("launch: %w", err)
		}
		c.outlives = ends != nil
		if c.outlives {
			told.End = endName(c.id)
		}
		message, err := told.Encode()
		if err == nil {
			err = settle(c.id.PID)
		}
		if err == nil {
			err = send(ctx, c.conn, message, files)
		}
		if err == nil {
			c.watched = spec.Terminal != nil || c.outlives
			if c.cgroup == "" {
				c.group = sessionName(c.id, spec.Env)
			}
			return c, nil
		}
		c.Discard()
		// Close may have ended the one that was taken: the next is asked for in vain.
		if !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, os.ErrClosed) {
			return nil, fmt.Errorf("launch: %w", err)
		}
	}
	return nil, errors.New("launch: every helper ended before it was used")
}

// Close ends the helpers that wait and those that are held. Running programs
// go on; their Wait reports an error, since nobody waits for them here any more.
func (l *Launcher) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	l.end()
	return nil
}

func (l *Launcher) end() {
	<-l.tended
	l.mu.Lock()
	l.closed = true
	var left []*child
	for _, c := range l.children {
		left = append(left, c)
	}
	l.mu.Unlock()
	var discarded sync.WaitGroup
	for _, c := range left {
		discarded.Go(func() {
			// A running program's connection is closed already.
			if c.conn.SetDeadline(time.Time{}) == nil {
				c.Discard()
			}
			if !c.ended() {
				c.pidfd.Close() // nobody watches it any more
			}
		})
	}
	discarded.Wait()
	l.endings.close()
	l.watchers.Wait()
	l.reapOrphans()
	l.removeHome()
	l.helper.Close()
	l.null.Close()
}

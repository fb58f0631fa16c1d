//go:build unix

package darwin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"kpm/core"
	"kpm/core/port"
)

// Launcher starts programs by helpers, keeperlaunch, each with a child that is to
// become the program. Those without windows wait ahead of need; one in a user's
// session is started when it is needed, by launchctl.
//
// Every helper leads a session of its own.
type Launcher struct {
	system   system
	helper   string // keeperlaunch's path, which root alone can change
	null     *os.File
	tree     *Tree
	sessions func() ([]core.Session, error)

	ready    chan *child   // children that wait
	refill   chan struct{} // one was taken
	stop     chan struct{} // closed by Close
	tended   chan struct{}
	watchers sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	children map[*child]bool
}

var _ port.Launcher = (*Launcher)(nil)

// errClosed is wrapped by what a closed launcher is asked for.
var errClosed = fmt.Errorf("the launcher: %w", os.ErrClosed)

// newLauncher returns a Launcher that keeps spare children (0 to 64) waiting.
// helper is the path of keeperlaunch.
func newLauncher(on system, helper string, spare int, sessions func() ([]core.Session, error)) (*Launcher, error) {
	if spare < 0 || spare > 64 {
		return nil, fmt.Errorf("launcher: %d spare helpers; 0 to 64 are possible", spare)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("launcher: %w", err)
	}
	l := &Launcher{
		system: on, helper: helper, null: null, tree: newTree(on), sessions: sessions,
		ready: make(chan *child, spare), refill: make(chan struct{}, 1),
		stop: make(chan struct{}), tended: make(chan struct{}), children: map[*child]bool{},
	}
	for range spare {
		c, err := l.spawn("")
		if err != nil {
			close(l.tended)
			l.end()
			return nil, fmt.Errorf("launcher: start %s: %w", helper, err)
		}
		l.ready <- c
	}
	go l.tend()
	return l, nil
}

// Prepare implements port.Launcher.
func (l *Launcher) Prepare(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	windows, err := windowsOf(spec.As, l.sessions)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	told, err := l.translate(spec)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	defer told.release()
	// A waiting child may have been killed; a fresh one must do.
	for range cap(l.ready) + 1 {
		var c *child
		if c, err = l.take(ctx, windows); err != nil {
			return nil, fmt.Errorf("launch: %w", err)
		}
		if err = c.tell(ctx, told, spec.Env); err == nil {
			return c, nil
		}
		c.Discard()
		if ctx.Err() != nil {
			break
		}
	}
	return nil, fmt.Errorf("launch: every helper ended before it was used: %w", err)
}

// take returns a waiting child, or a new one if none waits or it is for a session.
func (l *Launcher) take(ctx context.Context, windows core.UserID) (*child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if windows == "" {
		select {
		case c := <-l.ready:
			notify(l.refill)
			return c, nil
		default:
		}
	}
	return l.spawn(windows)
}

// spawn starts a helper with its child, in a user's session or in none.
func (l *Launcher) spawn(windows core.UserID) (*child, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errClosed
	}
	l.watchers.Add(1) // Close keeps open what a helper is given until nobody starts one any more
	l.mu.Unlock()
	c, err := l.newChild(windows)
	if err != nil {
		l.watchers.Done()
		return nil, fmt.Errorf("start a helper: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // meanwhile
		c.abandon()
		l.watchers.Done()
		return nil, errClosed
	}
	l.children[c] = true
	go c.watch()
	return c, nil
}

// forget forgets a child whose helper has ended.
func (l *Launcher) forget(c *child) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.children, c)
}

// tend refills the pool, off every launch's path.
func (l *Launcher) tend() {
	defer close(l.tended)
	for {
		select {
		case <-l.stop:
			return
		case <-l.refill:
		}
		for len(l.ready) < cap(l.ready) {
			c, err := l.spawn("")
			if err != nil { // whoever needs one will hear of it
				break
			}
			l.ready <- c
		}
	}
}

// Close ends the children that wait and those that are held. Running programs go
// on, with their helpers; their Wait reports an error, since nobody waits for them
// here any more.
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
	for c := range l.children {
		left = append(left, c)
	}
	l.mu.Unlock()
	for _, c := range left {
		if c.released() {
			c.leave()
		} else {
			c.Discard()
		}
	}
	l.watchers.Wait()
	l.null.Close()
}

// notify wakes a goroutine that looks at everything each time it is woken.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Resume implements port.Launcher: nobody keeps the exit status of a command that
// outlives this service.
func (l *Launcher) Resume(core.ProcessID, string) (port.Process, error) {
	return nil, fmt.Errorf("resume: %w", errors.ErrUnsupported)
}

// Forget implements port.Launcher.
func (l *Launcher) Forget(core.ProcessID) {}

//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/held"
)

// Launcher starts programs by helpers, keeperlaunch. Those for the service's own
// account wait ahead of need; one for a user is created when it is needed, since
// its token is a session's.
//
// Every helper is the leader of a job of its own from its creation, and creates
// the program in it.
type Launcher struct {
	helper sealed // keeperlaunch, which nobody can change as long as we run
	self   core.UserID
	null   *os.File
	tree   *Tree
	// accounts are made for elevations that Windows has no token for; nil for none.
	accounts administratorAccounts
	logOn    func(core.Account, core.Identity) (*token, error) // loggedOnOnce, but for tests

	ready    chan *child    // helpers that wait
	refill   chan struct{}  // one was taken
	stop     chan struct{}  // closed by Close
	stopped  windows.Handle // an event: the same, for waits of the system
	tended   chan struct{}
	watchers sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	children  map[*child]bool
	lingering []lingering // jobs whose leader has ended
}

var _ port.Launcher = (*Launcher)(nil)

// errClosed is wrapped by what a closed launcher is asked for.
var errClosed = fmt.Errorf("the launcher: %w", os.ErrClosed)

// NewLauncher returns a Launcher that keeps spare helpers (0 to 64) waiting.
// helper is the keeperlaunch executable.
func NewLauncher(helper string, spare int) (*Launcher, error) {
	if spare < 0 || spare > 64 {
		return nil, fmt.Errorf("launcher: %d spare helpers; 0 to 64 are possible", spare)
	}
	l := &Launcher{
		tree: NewTree(), ready: make(chan *child, spare), refill: make(chan struct{}, 1), stop: make(chan struct{}),
		tended: make(chan struct{}), children: map[*child]bool{}, logOn: loggedOnOnce,
	}
	if err := l.open(helper); err != nil {
		l.release()
		return nil, fmt.Errorf("launcher: %w", err)
	}
	for range spare {
		c, err := l.spawn(nil)
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

// open opens what every launch needs.
func (l *Launcher) open(helper string) error {
	f, err := os.Open(helper)
	if err != nil {
		return fmt.Errorf("%w; keeperlaunch is a part of the agent: install it again", err)
	}
	defer f.Close()
	if l.helper, err = holdProgram(f); err != nil {
		return err
	}
	if l.self, err = tokenUser(windows.GetCurrentProcessToken()); err != nil {
		return fmt.Errorf("own account: %w", err)
	}
	if l.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return err
	}
	// learn.microsoft.com, "CreateEventW": set once, by hand.
	if l.stopped, err = windows.CreateEvent(nil, 1, 0, nil); err != nil {
		return fmt.Errorf("make an event: %w", err)
	}
	return nil
}

// Prepare implements port.Launcher. It does not wait for the helper to have
// created the program; Release does.
func (l *Launcher) Prepare(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	t, err := l.tokenFor(ctx, spec.As)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	defer t.close()
	told, err := l.translate(spec, t)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	c, err := l.take(ctx, t)
	if err != nil {
		told.release()
		return nil, fmt.Errorf("launch: %w", err)
	}
	if err := c.tell(told); err != nil {
		c.Discard()
		return nil, fmt.Errorf("launch: %w", err)
	}
	return c, nil
}

// take returns a waiting helper, or a new one if none waits or it is for a user.
func (l *Launcher) take(ctx context.Context, t *token) (*child, error) {
	for t == nil {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		select {
		case c := <-l.ready:
			select {
			case l.refill <- struct{}{}:
			default:
			}
			if c.ended() { // somebody has killed it
				continue
			}
			return c, nil
		default:
		}
		break
	}
	return l.spawn(t)
}

// spawn creates a helper with a token, nil for the service's own.
func (l *Launcher) spawn(t *token) (*child, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errClosed
	}
	l.watchers.Add(1) // Close keeps keeperlaunch open until nobody creates a helper any more
	l.mu.Unlock()
	c, err := l.newChild(t)
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
	if t != nil {
		c.ends, c.after = t.ends, t.after
		t.after = after{}
	}
	l.children[c] = true
	go c.watch()
	return c, nil
}

// newChild creates a helper in a job of its own, held by its standard input.
func (l *Launcher) newChild(t *token) (c *child, err error) {
	c = &child{launcher: l, done: make(chan struct{})}
	defer func() {
		if err != nil {
			c.abandon()
		}
	}()
	if c.job, c.group, err = newJob(); err != nil {
		return nil, err
	}
	var theirs [2]windows.Handle // standard input and output
	if theirs, c.orders, c.reports, err = connection(); err != nil {
		return nil, err
	}
	defer windows.CloseHandle(theirs[0])
	defer windows.CloseHandle(theirs[1])
	start := held.Start{
		Job: c.job, Flags: windows.DETACHED_PROCESS, Security: held.Administrators,
		Application: l.helper.path, CommandLine: held.Name, Dir: systemDirectory(), Env: helperEnvironment(),
		Streams: [3]windows.Handle{theirs[0], theirs[1], 0},
	}
	if t != nil {
		start.Token, start.Desktop = t.primary, t.desktop
	}
	made, err := start.Create()
	if err != nil {
		return nil, explain(err)
	}
	c.process = made.Process
	defer windows.CloseHandle(made.Thread)
	c.id = core.ProcessID{PID: int(made.ProcessId)}
	if c.id.Start, err = startStamp(made.Process); err != nil {
		return nil, err
	}
	if in, err := inJob(made.Process, c.job); err != nil || !in {
		return nil, errors.Join(errors.New("the helper is not in its job"), err)
	}
	// The helper's own handle of its job: with it, the group lives as long as its
	// leader, whatever becomes of this service. It can only be asked by it.
	// (learn.microsoft.com, "DuplicateHandle", "Job Object Security and Access Rights")
	own := windows.CurrentProcess()
	var query windows.Handle
	if err := windows.DuplicateHandle(own, c.job, made.Process, &query, jobQuery, false, 0); err != nil {
		return nil, fmt.Errorf("give the helper its job: %w", err)
	}
	if _, err := windows.ResumeThread(made.Thread); err != nil {
		return nil, fmt.Errorf("resume the helper: %w", err)
	}
	return c, nil
}

// ended forgets a helper that has ended, and closes the jobs that are empty by
// now. One that is not keeps its processes: what a command left running in the
// background stays for as long as this service does.
func (l *Launcher) ended(c *child) {
	for _, left := range l.emptied(c) {
		windows.CloseHandle(left.job)
		left.after.do() // which may take a moment: nobody waits for the lock meanwhile
	}
}

// emptied notes the job of a helper that has ended, and takes out those that are empty.
func (l *Launcher) emptied(c *child) (empty []lingering) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.children, c)
	l.lingering = append(l.lingering, lingering{c.job, c.after})
	keep := l.lingering[:0]
	for _, left := range l.lingering {
		if n, err := activeIn(left.job); err == nil && n > 0 {
			keep = append(keep, left)
		} else {
			empty = append(empty, left)
		}
	}
	l.lingering = keep
	return empty
}

// lingering is the job of a helper that has ended, and what is done when it is empty.
type lingering struct {
	job   windows.Handle
	after after
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
			c, err := l.spawn(nil)
			if err != nil { // whoever needs one will hear of it
				break
			}
			l.ready <- c
		}
	}
}

// Close ends the helpers that wait and those that are held. Running programs
// go on; their Wait reports an error, since nobody waits for them here any more.
// What runs in a group whose leader has ended is ended.
func (l *Launcher) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.tended
	l.end()
	return nil
}

func (l *Launcher) end() {
	l.mu.Lock()
	l.closed = true
	var left []*child
	for c := range l.children {
		left = append(left, c)
	}
	l.mu.Unlock()
	for _, c := range left {
		if !c.released() {
			c.Discard()
		}
	}
	windows.SetEvent(l.stopped)
	l.watchers.Wait()
	// What comes after running programs, which go on, the next service does.
	for _, left := range l.lingering {
		windows.CloseHandle(left.job)
	}
	l.release()
}

// release closes what open has opened.
func (l *Launcher) release() {
	l.helper.release()
	if l.null != nil {
		l.null.Close()
	}
	if l.stopped != 0 {
		windows.CloseHandle(l.stopped)
	}
}

// Resume implements port.Launcher: a job ends with its leader if the service is
// gone by then, and nobody keeps its exit code.
func (l *Launcher) Resume(core.ProcessID, string) (port.Process, error) {
	return nil, fmt.Errorf("resume: %w", errors.ErrUnsupported)
}

// Forget implements port.Launcher.
func (l *Launcher) Forget(core.ProcessID) {}

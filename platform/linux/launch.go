//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
	"kpm/platform/linux/held"
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
	tree   *Tree

	ready    chan *child   // helpers that wait
	refill   chan struct{} // one was taken
	swept    chan struct{} // something ended: look for orphans and empty cgroups
	stop     chan struct{}
	tended   chan struct{}
	watchers sync.WaitGroup

	mu        sync.Mutex // held while forking: a child is known before it is seen
	closed    bool
	seed      *child // makes the helpers
	children  map[int]*child
	lingering []string // cgroups to remove
}

var _ port.Launcher = (*Launcher)(nil)

// refillPause is how long after a helper was taken the next one is made. The
// launch and the command that it starts want the processors first.
const refillPause = 5 * time.Millisecond

// sendTime is how long a helper has to take in what it is to become.
const sendTime = 5 * time.Second

// errClosed is wrapped by what a closed launcher is asked for.
var errClosed = errors.New("the launcher is closed")

// NewLauncher returns a Launcher that keeps spare helpers (0 to 64) waiting.
// helper is the keeperlaunch executable; it must belong to root and be
// writable by no one else. cgroupParent is what DetectCgroup returned.
func NewLauncher(helper string, spare int, cgroupParent string) (*Launcher, error) {
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
	l := &Launcher{
		helper: exe, null: null, home: cgroupParent, tree: NewTree(),
		ready: make(chan *child, spare), refill: make(chan struct{}, 1), swept: make(chan struct{}, 1),
		stop: make(chan struct{}), tended: make(chan struct{}), children: map[int]*child{},
	}
	sweepCgroups(l.home)
	for range spare {
		c, err := l.spawn()
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
	told, files, control, err := translate(spec, l.null)
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	if control != nil {
		defer control.Close()
	}
	message, err := told.Encode()
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	// A waiting helper may have been killed; a fresh one must do.
	for range cap(l.ready) + 1 {
		c, err := l.take(ctx)
		if err != nil {
			return nil, fmt.Errorf("launch: %w", err)
		}
		if err = send(ctx, c.conn, message, files); err == nil {
			c.watched = spec.Terminal != nil
			if c.cgroup == "" {
				c.group = sessionName(c.id, spec.Env)
			}
			return c, nil
		}
		c.Discard()
		// Close may have ended the one that was taken: the next is asked for in vain.
		if !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) && !errors.Is(err, os.ErrClosed) {
			return nil, fmt.Errorf("launch: %w", err)
		}
	}
	return nil, errors.New("launch: every helper ended before it was used")
}

// take returns a waiting helper, or a new one if none waits.
func (l *Launcher) take(ctx context.Context) (*child, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case c := <-l.ready:
		notify(l.refill)
		return c, nil
	default:
		return l.spawn()
	}
}

// spawn makes a helper. It may find that the seed was killed; a new one must do.
func (l *Launcher) spawn() (*child, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, err := l.fork()
	if err != nil && l.seed != nil && l.seed.ended() {
		c, err = l.fork()
	}
	if err != nil {
		return nil, fmt.Errorf("start a helper: %w", err)
	}
	return c, nil
}

// fork asks the seed for a helper. l.mu is held.
func (l *Launcher) fork() (*child, error) {
	if l.closed {
		return nil, errClosed
	}
	if err := l.plant(); err != nil {
		return nil, err
	}
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
	pid, err := l.seed.ask(files)
	if err == nil {
		err = l.adopt(c, pid)
	}
	if err != nil {
		ours.Close()
		l.leaveCgroup(c)
		return nil, err
	}
	return c, nil
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
	null := l.null.Fd()
	pid, err := syscall.ForkExec(procFd(int(l.helper.Fd())), []string{held.Name}, &syscall.ProcAttr{
		Dir: "/", Env: held.Environ, Files: []uintptr{null, null, null, uintptr(high)},
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
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("pidfd: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // kernels before 5.10 have no flag for it
		unix.Close(fd)
		return nil, fmt.Errorf("pidfd: %w", err)
	}
	return os.NewFile(uintptr(fd), "pidfd"), nil
}

func (l *Launcher) newChild(conn *os.File) *child {
	return &child{launcher: l, conn: conn, done: make(chan struct{})}
}

// adopt begins to watch the process pid, a child that nobody else knows of: its
// number is its own until it is reaped here. l.mu is held.
func (l *Launcher) adopt(c *child, pid int) error {
	start, err := startTicks(pid)
	if err == nil {
		c.pidfd, err = openPidfd(pid)
	}
	if err != nil {
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, 0, nil)
		return err
	}
	c.id = core.ProcessID{PID: pid, Start: start}
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
	var wanted, again <-chan time.Time
	for {
		select {
		case <-l.stop:
			return
		case <-l.refill:
			if wanted == nil {
				wanted = time.After(refillPause)
			}
		case <-wanted:
			wanted = l.fill()
		case <-again:
			again = l.removeCgroups()
		case <-orphans:
			l.reapOrphans()
			again = l.removeCgroups()
		case <-l.swept:
			l.reapOrphans()
			again = l.removeCgroups()
		}
	}
}

// fill starts one helper and says when to start the next, or nil if the pool
// is full.
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
	return time.After(0)
}

// removeCgroups removes what is empty, and says when to come back for a
// directory that is not: never by itself if somebody lives in it.
func (l *Launcher) removeCgroups() <-chan time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var again <-chan time.Time
	keep := l.lingering[:0]
	for _, dir := range l.lingering {
		if !emptyCgroup(dir) {
			keep = append(keep, dir)
		} else if err := removeCgroup(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			keep = append(keep, dir) // still releasing the last process
			again = time.After(10 * time.Millisecond)
		}
	}
	l.lingering = keep
	return again
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
	l.watchers.Wait()
	l.reapOrphans()
	l.removeHome()
	l.helper.Close()
	l.null.Close()
}

// removeHome removes every trace in the cgroup file system but the groups in
// which programs still run.
func (l *Launcher) removeHome() {
	for deadline := time.Now().Add(time.Second); l.removeCgroups() != nil && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if filepath.Base(l.home) == cgroupHome {
		unix.Rmdir(l.home)
	}
}

// notify wakes a goroutine that looks at everything each time it is woken.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

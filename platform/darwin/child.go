//go:build unix

package darwin

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
	"kpm/platform/darwin/held"
	"kpm/platform/darwin/launchgroup"
)

// child is one helper and the child that becomes the program. It is both port.Held
// and port.Process, and both are the helper: it leads the group, and says how the
// program has ended.
type child struct {
	launcher *Launcher
	started  int            // what was forked here: the helper, or launchctl
	id       core.ProcessID // the helper
	program  core.ProcessID // its child; set by Release
	group    string
	orders   *os.File          // to the child; closed when it is the program
	conn     *os.File          // to the helper
	begun    chan held.Message // the helper's answer to the order to begin
	sealed   sealed
	watched  bool // it has a terminal

	mu      sync.Mutex
	running bool // the program was let run

	done   chan struct{} // closed when it has ended, or nobody watches any more
	status core.ExitStatus
	err    error
}

var (
	_ port.Held    = (*child)(nil)
	_ port.Process = (*child)(nil)
)

// ID implements port.Held and port.Process.
func (c *child) ID() core.ProcessID { return c.id }

// Group implements port.Held.
func (c *child) Group() string { return c.group }

// tell has the helper start the child, on its terminal if it has one, and says to
// the child what to become. The child reads that when it is there.
func (c *child) tell(ctx context.Context, t *told, env []string) error {
	c.sealed, c.group, c.watched = t.sealed, launchgroup.Name(c.id, c.launcher.tree.boot, env), t.slave != nil
	order := held.Message{Kind: held.OrderBegin}
	var terminal []*os.File
	if c.watched {
		terminal = []*os.File{t.slave, t.control}
		if order.Value = held.InForeground; t.background {
			order.Value = held.InBackground
		}
	}
	if err := send(ctx, c.conn, order.Encode(), terminal...); err != nil {
		return err
	}
	return send(ctx, c.orders, t.message, t.files...)
}

// Release implements port.Held.
func (c *child) Release(ctx context.Context) (port.Process, error) {
	if err := ctx.Err(); err != nil { // what nobody waits for any more does not run
		c.Discard()
		return nil, fmt.Errorf("launch: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { c.orders.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.release(ctx)
	if err == nil {
		return c, nil
	}
	c.Discard()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, fmt.Errorf("launch: %w", err)
}

func (c *child) release(ctx context.Context) error {
	select {
	case begun := <-c.begun:
		if err := c.meetChild(begun); err != nil {
			return err
		}
	case <-c.done:
		return errors.New("the helper ended")
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := c.orders.Write([]byte{1})
	// Its end closes when it has become the program, or with a report; the report
	// may have come before the release.
	report, readErr := io.ReadAll(io.LimitReader(c.orders, held.ReportSize+1))
	switch {
	case len(report) > 0:
		return reportError(report)
	case err != nil || readErr != nil:
		return fmt.Errorf("the child ended: %w", errors.Join(err, readErr))
	}
	if err := c.compare(); err != nil {
		return err
	}
	c.mu.Lock()
	c.running = true
	c.mu.Unlock()
	c.orders.Close()
	return c.order(held.OrderSignal, uint32(unix.SIGCONT))
}

// compare looks at the suspended program (sealed.compare). It is the helper's child,
// and no instruction of it has run.
func (c *child) compare() error {
	p, found := c.launcher.system.process(c.program.PID)
	if !found || p.Start != c.program.Start || p.Parent != c.id.PID || p.Zombie {
		return fmt.Errorf("process %s, of which %+v is left: %w", c.program, p, errVanished)
	}
	r, err := c.launcher.system.whatRuns(c.program.PID, c.sealed)
	if err != nil {
		return err
	}
	return c.sealed.compare(r)
}

// order sends the helper an order.
func (c *child) order(kind held.Kind, value uint32) error {
	if c.ended() {
		return os.ErrProcessDone
	}
	if err := send(context.Background(), c.conn, held.Message{Kind: kind, Value: value}.Encode()); err != nil {
		if errors.Is(err, unix.EPIPE) || c.ended() {
			return os.ErrProcessDone
		}
		return err
	}
	return nil
}

// discardTime is how long a child that was killed is waited for.
const discardTime = time.Second

// Discard implements port.Held. A helper that has begun nothing ends by the end of
// its orders, and a child by that of its own; a program that is suspended, or a child
// that waits for the kernel, is killed.
func (c *child) Discard() {
	c.orders.Close()
	_ = onDescriptor(c.conn, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_WR) })
	select {
	case <-c.done:
		return
	case <-time.After(discardTime / 10):
	}
	c.Kill()
	select {
	case <-c.done:
	case <-time.After(discardTime):
	}
}

// End implements port.Process.
func (c *child) End(ctx context.Context) (core.ExitStatus, error) { return c.Wait(ctx) }

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

// Signal implements port.Process: the helper, whose child the program is, sends it
// as long as there is a program.
func (c *child) Signal(s signal.Signal) error {
	number, ok := numbers[s]
	if s == signal.Suspend && !c.watched {
		// The kernel discards SIGTSTP where nobody could let the program go on.
		number = unix.SIGSTOP
	}
	if !ok {
		return fmt.Errorf("signal %s: %w", s, errors.ErrUnsupported)
	}
	return c.order(held.OrderSignal, uint32(number))
}

// Kill implements port.Process.
func (c *child) Kill() error {
	_, err := c.launcher.tree.KillGroups(port.Group{Root: c.id, Name: c.group})
	return err
}

func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

func (c *child) released() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running
}

// leave lets a running program be somebody else's to watch.
func (c *child) leave() { c.conn.SetReadDeadline(time.Unix(1, 0)) }

// watch reads what the helper says, without occupying a thread, and reaps it.
func (c *child) watch() {
	defer c.launcher.watchers.Done()
	defer c.launcher.forget(c)
	defer c.conn.Close()
	defer close(c.done)                                   // first: whoever finds conn closed sees why
	c.status = core.ExitStatus{Signal: int(unix.SIGKILL)} // of a helper that says no more
	for {
		m, err := readMessage(c.conn)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.err = fmt.Errorf("wait for %s: %w", c.id, errClosed)
			return
		case err != nil:
			c.reap()
			return
		case m.Kind == held.NoticeChild, m.Kind == held.NoticeFailed:
			select {
			case c.begun <- m:
			default: // it has answered already
			}
		case m.Kind == held.NoticeEnded:
			code, sig := held.Status(m.Value).Ended()
			c.status = core.ExitStatus{Code: code, Signal: sig}
		}
	}
}

// reap takes the end of what was forked here, which has closed its socket and is
// about to end.
func (c *child) reap() {
	for {
		if _, err := unix.Wait4(c.started, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// readMessage reads one order or notice.
func readMessage(r io.Reader) (held.Message, error) {
	var b [held.MessageSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return held.Message{}, err
	}
	m, ok := held.DecodeMessage(b[:])
	if !ok {
		return m, errors.New("the helper says something that is no message")
	}
	return m, nil
}

func reportError(b []byte) error {
	report, ok := held.DecodeReport(b)
	switch {
	case !ok:
		return errors.New("the child answered with something else than a report")
	case report.Step == held.StepChanged && report.Errno == 0:
		return ErrChanged
	case report.Errno == 0:
		return errors.New(report.Step.String())
	}
	return fmt.Errorf("%s: %w", report.Step, unix.Errno(report.Errno))
}

//go:build unix

package darwin

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/confined"
	"kpm/platform/darwin/launchgroup"
	"kpm/platform/unix/handover"
)

// Confiner starts keeperreader as a user of its own, has it enter a sandbox that
// allows nothing (package confined), and has the kernel say that it did before anyone
// hands it anything.
type Confiner struct {
	confining confining
	locate    func() (string, error) // where keeperreader lies, which root alone can change

	mu       sync.Mutex
	null     *os.File // opened at the first start
	closed   bool
	alive    map[*confinedProcess]bool
	watchers sync.WaitGroup
}

var _ port.Confiner = (*Confiner)(nil)

// confining is what a Confiner asks of macOS (mac). It is an interface so that the
// Confiner itself runs on other systems, in its tests.
type confining interface {
	// processes returns every process.
	processes() (launchgroup.Table, error)
	// reopen is file.Reopen.
	reopen(fd int) (*os.File, error)
	// limitMemory has the kernel kill a process that has more than
	// confined.MaxMemory.
	limitMemory(pid int) error
	// confinedFacts asks the kernel about a confined process.
	confinedFacts(pid int) (confinedFacts, error)
}

// newConfiner returns a Confiner that starts the program which locate finds when a
// process is needed.
func newConfiner(on confining, locate func() (string, error)) *Confiner {
	return &Confiner{confining: on, locate: locate, alive: map[*confinedProcess]bool{}}
}

// errConfinerClosed is what a closed Confiner is asked for.
var errConfinerClosed = fmt.Errorf("the confiner: %w", os.ErrClosed)

// Start implements port.Confiner.
//
// Attack: something that this version lacks, which would be errors.ErrUnsupported,
// makes the service believe that no file here can carry a signature. So no error of
// the system's is wrapped.
func (c *Confiner) Start(ctx context.Context) (port.Confined, error) {
	p, err := c.create()
	if err != nil {
		return nil, fmt.Errorf("start %s: %s", confined.Name, err.Error())
	}
	if err = c.confining.limitMemory(p.id.PID); err == nil {
		err = handover.AwaitReady(ctx, p.conn)
	}
	if err == nil {
		err = p.verify()
	}
	// Until here nobody has waited for it, so that the number was its own.
	go c.watch(p)
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("start %s: %s", confined.Name, err.Error())
	}
	return p, nil
}

// Close ends every process, and waits a while for them to be gone.
func (c *Confiner) Close() error {
	c.mu.Lock()
	c.closed = true
	for p := range c.alive {
		p.Close() // its owner may have closed it, or still will
	}
	null := c.null
	c.mu.Unlock()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.watchers.Wait()
	}()
	select {
	case <-gone:
	case <-time.After(discardTime):
	}
	if null != nil {
		null.Close()
	}
	return nil
}

// confinedProcess is one process and the service's end of its connection.
type confinedProcess struct {
	confiner *Confiner
	id       core.ProcessID
	path     string
	user     uint32
	conn     *os.File
	process  *os.Process
}

var _ port.Confined = (*confinedProcess)(nil)

// verify compares the process with what it is to be, and learns when it began.
func (p *confinedProcess) verify() error {
	facts, err := p.confiner.confining.confinedFacts(p.id.PID)
	if err != nil {
		return fmt.Errorf("ask the kernel about it: %w", err)
	}
	p.id.Start = facts.process.Start
	return facts.fault(os.Getpid(), p.path, p.user)
}

// ID implements port.Confined.
func (p *confinedProcess) ID() core.ProcessID { return p.id }

// Send implements port.Confined.
//
// Attack: the process moves the offset of a file that the service reads as well, or
// takes locks on it. So it gets one that was opened for it, for reading.
func (p *confinedProcess) Send(message []byte, f *os.File) error {
	if f == nil {
		_, err := p.conn.Write(message)
		return err
	}
	var own *os.File
	if err := onDescriptor(f, func(fd int) (err error) {
		own, err = p.confiner.confining.reopen(fd)
		return err
	}); err != nil {
		return fmt.Errorf("hand over %s: %w", f.Name(), err)
	}
	defer own.Close()
	sent, err := sendFiles(p.conn, message, []*os.File{own})
	if err == nil && sent < len(message) {
		_, err = p.conn.Write(message[sent:])
	}
	return err
}

// Read implements port.Confined.
func (p *confinedProcess) Read(b []byte) (int, error) { return p.conn.Read(b) }

// SetDeadline implements port.Confined.
func (p *confinedProcess) SetDeadline(t time.Time) error { return p.conn.SetDeadline(t) }

// Close implements port.Confined. Package os knows whether the process was reaped, so
// that no other with its number is killed.
func (p *confinedProcess) Close() error {
	_ = p.process.Signal(unix.SIGKILL)
	return p.conn.Close()
}

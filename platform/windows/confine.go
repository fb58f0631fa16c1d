//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/confined"
	"kpm/platform/windows/file"
	"kpm/platform/windows/pipe"
)

// Confiner starts keeperreader with a token that opens nothing, in a job of its
// own, and has the system say so before anyone hands it anything.
type Confiner struct {
	path string

	mu      sync.Mutex
	program sealed // held from the first start on
	closed  bool
	alive   map[*confinedProcess]bool
}

var _ port.Confiner = (*Confiner)(nil)

// confineTime is how long a process has to load itself.
const confineTime = 10 * time.Second

// errConfinerClosed is what a closed Confiner is asked for.
var errConfinerClosed = fmt.Errorf("the confiner: %w", os.ErrClosed)

// NewConfiner returns a Confiner that starts program, the absolute path of
// keeperreader.exe, which administrators alone may change. It is held when the
// first process is needed.
func NewConfiner(program string) *Confiner {
	return &Confiner{path: program, alive: map[*confinedProcess]bool{}}
}

// Start implements port.Confiner.
//
// Attack: something that this system lacks, which would be errors.ErrUnsupported,
// makes the service believe that no file here can carry a signature. So no error
// of the system's is wrapped.
func (c *Confiner) Start(ctx context.Context) (port.Confined, error) {
	p, err := c.create()
	if err != nil {
		return nil, fmt.Errorf("start %s: %s", confined.Name, err.Error())
	}
	err = p.awaitReady(ctx)
	if err == nil {
		err = p.confine()
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("start %s: %s", confined.Name, err.Error())
	}
	return p, nil
}

// create creates a process, which has its end of the connection and nothing else.
func (c *Confiner) create() (*confinedProcess, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.open(); err != nil {
		return nil, err
	}
	ours, theirs, err := pipe.Pair()
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(theirs)
	p := &confinedProcess{confiner: c, conn: ours}
	if err := p.create(c.program.path, theirs); err != nil {
		p.end()
		return nil, err
	}
	c.alive[p] = true
	return p, nil
}

// open holds the program once: what was checked is what is started. c.mu is held.
func (c *Confiner) open() error {
	if c.closed {
		return errConfinerClosed
	}
	if c.program.handle != 0 {
		return nil
	}
	f, err := Files{}.LocateProtected(c.path)
	if err != nil {
		return fmt.Errorf("%w; keeperreader is a part of the agent: install it again", err)
	}
	defer f.Close()
	c.program, err = holdProgram(f)
	return err
}

// Close ends every process, and waits a while for them to be gone.
func (c *Confiner) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for p := range c.alive {
		p.end() // its owner may have closed it, or still will
	}
	clear(c.alive)
	c.program.release()
	return nil
}

// forget is told when the owner of a process has closed it.
func (c *Confiner) forget(p *confinedProcess) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.alive, p)
}

// confinedProcess is one process and the service's end of its connection.
type confinedProcess struct {
	confiner *Confiner
	id       core.ProcessID
	conn     *pipe.Conn

	mu      sync.Mutex // held while the handles are used or closed
	process windows.Handle
	thread  windows.Handle // the one that starts with more than the process; 0 afterwards
	job     windows.Handle
	ended   bool
}

var _ port.Confined = (*confinedProcess)(nil)

// awaitReady waits until the process says that it needs nothing more.
func (p *confinedProcess) awaitReady(ctx context.Context) error {
	deadline := time.Now().Add(confineTime)
	if limit, ok := ctx.Deadline(); ok && limit.Before(deadline) {
		deadline = limit
	}
	if err := p.conn.SetDeadline(deadline); err != nil {
		return err
	}
	var first [1]byte
	if _, err := io.ReadFull(p.conn, first[:]); err != nil {
		return fmt.Errorf("it does not say that it is ready: %w", err)
	}
	if first[0] != confined.Ready {
		return errors.New("it says something else than that it is ready")
	}
	return p.conn.SetDeadline(time.Time{})
}

// ID implements port.Confined.
func (p *confinedProcess) ID() core.ProcessID { return p.id }

// Send implements port.Confined.
func (p *confinedProcess) Send(message []byte, f *os.File) error {
	var handle uint64
	if f != nil {
		var err error
		if handle, err = p.give(f); err != nil {
			return fmt.Errorf("hand over %s: %w", f.Name(), err)
		}
	}
	for len(message) > 0 {
		n := min(len(message), confined.MaxFrame)
		if _, err := p.conn.Write(confined.AppendFrame(nil, message[:n], handle)); err != nil {
			return err
		}
		message, handle = message[n:], 0
	}
	return nil
}

// give puts a file into the process's handle table, to read its bytes and for
// nothing else (learn.microsoft.com, "ReOpenFile", "DuplicateHandle").
//
// Attack: the process moves the offset of a file that the service reads as well,
// or asks a handle of the service's for more than bytes. So it gets one that was
// opened for it.
func (p *confinedProcess) give(f *os.File) (uint64, error) {
	const access = windows.FILE_READ_DATA | windows.SYNCHRONIZE
	var given windows.Handle
	err := file.OnHandle(f, func(handle windows.Handle) error {
		own, err := file.Reopen(handle, access, file.ShareAll, 0)
		if err != nil {
			return err
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			windows.CloseHandle(own)
			return os.ErrProcessDone
		}
		return windows.DuplicateHandle(windows.CurrentProcess(), own, p.process, &given, access, false, windows.DUPLICATE_CLOSE_SOURCE)
	})
	return uint64(given), err
}

// Read implements port.Confined.
func (p *confinedProcess) Read(b []byte) (int, error) { return p.conn.Read(b) }

// SetDeadline implements port.Confined.
func (p *confinedProcess) SetDeadline(t time.Time) error { return p.conn.SetDeadline(t) }

// Close implements port.Confined.
func (p *confinedProcess) Close() error {
	p.confiner.forget(p)
	return p.end()
}

// end ends the process and closes what this side has of it, once.
func (p *confinedProcess) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return nil
	}
	p.ended = true
	if p.job != 0 {
		windows.TerminateJobObject(p.job, exitKilled)
	}
	for _, handle := range []windows.Handle{p.thread, p.process, p.job} {
		if handle != 0 {
			windows.CloseHandle(handle)
		}
	}
	return p.conn.Close()
}

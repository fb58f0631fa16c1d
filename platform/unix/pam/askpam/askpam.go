//go:build linux || darwin

// Package askpam has keeperpam ask the machine's PAM, by a process for each question:
// it tells the process what to ask, hands what modules say to the person and their
// answer back, and ends the process. How one is started, watched and ended is each
// system's.
package askpam

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/platform/unix/pam"
)

// Child is a keeperpam that was started. It is root, as login programs are: modules
// read what only root may, and become others to do so. It has the connection and
// nothing else of the service's.
type Child interface {
	// Conn is the service's end of the connection.
	Conn() *os.File
	// Wait returns when the process has ended, and takes its end.
	Wait()
	// Kill ends the process, whatever a module of it is doing, and what the module
	// has started. It does nothing once the process has ended.
	Kill()
}

// PAM asks the machine's PAM.
type PAM struct {
	start func() (Child, error)
	files []string // where PAM's file for us may lie
	check func(text []byte) error

	mu       sync.Mutex
	closed   bool
	alive    map[*Process]bool
	watchers sync.WaitGroup
}

// endTime is how long a process is waited for that was asked to end, or killed.
const endTime = time.Second

// maxFile bounds PAM's file for us, in bytes.
const maxFile = 64 << 10

// New returns a PAM that starts processes by start. PAM's file for us is the first
// of files that is there, and check says what makes its text worth nothing.
func New(start func() (Child, error), files []string, check func(text []byte) error) *PAM {
	return &PAM{start: start, files: files, check: check, alive: map[*Process]bool{}}
}

// errAbsent is errors.ErrUnsupported and fs.ErrNotExist, and has the text of the former.
var errAbsent error = absent{}

type absent struct{}

// Error implements error.
func (absent) Error() string { return errors.ErrUnsupported.Error() }

// Is implements what errors.Is asks for.
func (absent) Is(target error) bool {
	return target == errors.ErrUnsupported || target == fs.ErrNotExist
}

var errClosed = fmt.Errorf("PAM: %w", os.ErrClosed)

// Missing says why PAM is asked nothing, nil if it is asked. Attack: without a file
// of ours PAM takes the one called other, which is nobody's decision about us. The
// error wraps errors.ErrUnsupported, and fs.ErrNotExist if there is no file; one that
// cannot be read at this moment is no missing one.
func (p *PAM) Missing() error {
	for _, path := range p.files {
		f, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var text []byte
		if err == nil {
			text, err = io.ReadAll(io.LimitReader(f, maxFile))
			f.Close()
		}
		if err == nil {
			err = p.check(text)
		}
		if err != nil {
			return fmt.Errorf("%w: PAM's file for this agent, %s: %w", errors.ErrUnsupported, path, err)
		}
		return nil
	}
	return fmt.Errorf("PAM has no file for this agent (%s): install the package's, or write one: %w", pam.Files[0], errAbsent)
}

// Ask starts a process and asks it. The process is closed by its caller, also if
// that is never told anything.
func (p *PAM) Ask(q pam.Question) (*Process, error) {
	process, err := p.begin()
	if err != nil {
		return nil, err
	}
	if err := pam.Send(process.conn, q); err != nil {
		process.Close()
		return nil, err
	}
	return process, nil
}

// begin starts a process.
func (p *PAM) begin() (*Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	child, err := p.start()
	if err != nil {
		return nil, err
	}
	process := &Process{pam: p, child: child, conn: child.Conn(), done: make(chan struct{})}
	p.alive[process] = true
	p.watchers.Add(1)
	go process.watch()
	return process, nil
}

// Close ends every process. Those with a session have a moment to close it.
func (p *PAM) Close() error {
	p.mu.Lock()
	p.closed = true
	var left []*Process
	for process := range p.alive {
		left = append(left, process)
	}
	p.mu.Unlock()
	for _, process := range left {
		process.Close()
	}
	for _, process := range left {
		process.End()
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		p.watchers.Wait()
	}()
	select {
	case <-gone:
	case <-time.After(endTime): // one waits for the kernel; nothing can end it
	}
	return nil
}

// Process is one keeperpam that was asked something.
type Process struct {
	pam   *PAM
	child Child
	conn  *os.File
	done  chan struct{} // closed when it has ended
}

// watch reaps the process.
func (p *Process) watch() {
	defer p.pam.watchers.Done()
	p.child.Wait()
	p.pam.mu.Lock()
	delete(p.pam.alive, p)
	p.pam.mu.Unlock()
	close(p.done)
}

// Close ends the connection, by which a process closes its session and ends. It
// does not wait.
func (p *Process) Close() { p.conn.Close() }

// End waits a moment for the process to end by itself, and ends it then.
func (p *Process) End() {
	select {
	case <-p.done:
	case <-time.After(endTime):
		p.child.Kill()
	}
}

// Answer sends an answer.
func (p *Process) Answer(a pam.Answer) error { return pam.Send(p.conn, a) }

// Receive returns the next message. When ctx ends first, nothing more is to be had
// of the process.
func (p *Process) Receive(ctx context.Context) (pam.Message, error) {
	stop := context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var m pam.Message
	err := pam.Receive(p.conn, &m)
	switch {
	case ctx.Err() != nil:
		return m, fmt.Errorf("PAM did not answer: %w", ctx.Err())
	case errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET):
		return m, fmt.Errorf("%s ended without an answer: is %s installed?", pam.Name, pam.Library)
	}
	return m, err
}

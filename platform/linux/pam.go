//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/linux/pam"
)

// PAM asks the machine's PAM, by a keeperpam process for each question. That one
// is root, as login programs are: modules read what only root may, and become
// others to do so. It has the connection and nothing else of the service's.
type PAM struct {
	path  string
	files []string // where PAM's file for us may lie

	mu       sync.Mutex
	closed   bool
	alive    map[*pamProcess]bool
	watchers sync.WaitGroup
}

// pamTime bounds what no person is waited for: the opening of a session.
const pamTime = 10 * time.Second

// NewPAM returns a PAM that starts program, the absolute path of keeperpam, which
// must belong to root and be writable by no one else.
func NewPAM(program string) *PAM {
	return &PAM{path: program, files: pam.Files, alive: map[*pamProcess]bool{}}
}

// errNoPAM is what a machine without PAM's file for us answers.
var errNoPAM = fmt.Errorf("PAM has no file for this agent (%s): install the package's, or write one: %w", pam.Files[0], errors.ErrUnsupported)

// Missing says why PAM is asked nothing, nil if it is asked. Attack: without a file
// of ours PAM takes the one called other, which is nobody's decision about us.
func (p *PAM) Missing() error {
	for _, path := range p.files {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
	}
	return errNoPAM
}

// start starts a process and asks it. The process is closed by its caller, also if
// that is never told anything.
func (p *PAM) start(q pam.Question) (*pamProcess, error) {
	process, err := p.fork()
	if err != nil {
		return nil, err
	}
	if err := pam.Send(process.conn, q); err != nil {
		process.Close()
		return nil, err
	}
	return process, nil
}

// fork starts a process.
func (p *PAM) fork() (*pamProcess, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	pid, ours, err := startHelper(p.path, pam.Environ, nil)
	if err != nil {
		return nil, err
	}
	process := &pamProcess{pam: p, pid: pid, conn: ours, done: make(chan struct{})}
	if process.pidfd, err = openPidfd(pid); err != nil {
		ours.Close()
		unix.Kill(pid, unix.SIGKILL) // not reaped yet: the number is its own
		unix.Wait4(pid, nil, 0, nil)
		return nil, err
	}
	p.alive[process] = true
	p.watchers.Add(1)
	go process.watch()
	return process, nil
}

// Close ends every process. Those with a session have a moment to close it.
func (p *PAM) Close() error {
	p.mu.Lock()
	p.closed = true
	var left []*pamProcess
	for process := range p.alive {
		left = append(left, process)
	}
	p.mu.Unlock()
	for _, process := range left {
		process.Close()
	}
	for _, process := range left {
		process.endWithin(discardTime)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		p.watchers.Wait()
	}()
	select {
	case <-gone:
	case <-time.After(discardTime): // one waits for the kernel; nothing can end it
	}
	return nil
}

// pamProcess is one keeperpam and the service's end of its connection.
type pamProcess struct {
	pam   *PAM
	pid   int
	conn  *os.File
	pidfd *os.File

	mu     sync.Mutex // held while it is reaped or signalled
	reaped bool
	done   chan struct{} // closed when it has ended
}

// watch reaps the process, without a thread that waits.
func (p *pamProcess) watch() {
	defer p.pam.watchers.Done()
	if raw, err := p.pidfd.SyscallConn(); err == nil {
		raw.Read(func(uintptr) bool { return p.reap() })
	}
	p.pidfd.Close()
	p.pam.mu.Lock()
	delete(p.pam.alive, p)
	p.pam.mu.Unlock()
	close(p.done)
}

// reap reports whether the process has ended.
func (p *pamProcess) reap() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, _ := unix.Wait4(p.pid, nil, unix.WNOHANG, nil)
	p.reaped = pid != 0 // also if it is no child any more
	return p.reaped
}

// Close ends the connection, by which a process closes its session and ends. It
// does not wait.
func (p *pamProcess) Close() { p.conn.Close() }

// kill ends the process, whatever a module of it is doing, and what the module has
// started.
func (p *pamProcess) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped { // else the number may be another process's
		unix.Kill(p.pid, unix.SIGSTOP) // it starts nothing more
		killDescendants(p.pid)
		unix.Kill(p.pid, unix.SIGKILL)
	}
}

// killDescendants ends what a stopped process has started, in whatever session that
// is by now. What has lost its parent is left to whoever reaps it.
func killDescendants(pid int) {
	start, err := startTicks(pid)
	if err != nil {
		return
	}
	root := core.ProcessID{PID: pid, Start: start}
	for _, other := range allPids() {
		if s, ok := readStat(other); ok && other != pid && s.descends(root) {
			killExactly(core.ProcessID{PID: other, Start: s.start})
		}
	}
}

// endWithin waits for the process to end by itself, and ends it then.
func (p *pamProcess) endWithin(limit time.Duration) {
	select {
	case <-p.done:
	case <-time.After(limit):
		p.kill()
	}
}

// receive returns the next message. When ctx ends first, nothing more is to be had
// of the process.
func (p *pamProcess) receive(ctx context.Context) (pam.Message, error) {
	stop := context.AfterFunc(ctx, func() { p.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var m pam.Message
	err := pam.Receive(p.conn, &m)
	switch {
	case ctx.Err() != nil:
		return m, fmt.Errorf("PAM did not answer: %w", ctx.Err())
	case errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET):
		return m, fmt.Errorf("%s ended without an answer: is libpam.so.0 installed?", pam.Name)
	}
	return m, err
}

// pamSession is a session that is open.
type pamSession struct {
	process     *pamProcess
	environment []string
	limits      []pam.Limit
}

// open opens a session for an account; it is nil where PAM is not asked.
func (p *PAM) open(ctx context.Context, as core.Identity, environment []string) (*pamSession, error) {
	if p == nil || p.Missing() != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, pamTime)
	defer cancel()
	process, err := p.start(pam.Question{Kind: pam.Session, User: as.Account.Name, Environment: environment})
	if err != nil {
		return nil, err
	}
	for {
		m, err := process.receive(ctx)
		switch {
		case err == nil && m.Kind == pam.Done && m.Code == 0:
			return &pamSession{process, m.Environment, m.Limits}, nil
		case err == nil && m.Kind == pam.Done:
			err = outcomeOf(m)
		case err == nil && (m.Kind == pam.Prompt || m.Kind == pam.Secret): // nobody is there to ask
			err = pam.Send(process.conn, pam.Answer{Cancelled: true})
		}
		if err != nil {
			process.Close()
			process.endWithin(discardTime) // what it has opened it closes
			return nil, fmt.Errorf("open a PAM session for %s: %w", as.Account.Name, err)
		}
	}
}

// limit gives the limits of the session to a process that has not begun yet.
func (s *pamSession) limit(pid int) error {
	for _, l := range s.limits {
		if err := unix.Prlimit(pid, l.Resource, &unix.Rlimit{Cur: l.Current, Max: l.Maximum}, nil); err != nil {
			return fmt.Errorf("set resource limit %d of the PAM session: %w", l.Resource, err)
		}
	}
	return nil
}

// end closes the session. It does not wait.
func (s *pamSession) end() { s.process.Close() }

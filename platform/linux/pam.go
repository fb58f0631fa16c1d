//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/platform/unix/pam"
	"kpm/platform/unix/pam/askpam"
)

// PAM asks the machine's PAM, and opens sessions around programs. It is a
// port.Authenticator.
type PAM struct{ *askpam.PAM }

// pamTime bounds what no person is waited for: the opening of a session.
const pamTime = 10 * time.Second

// NewPAM returns a PAM that starts program, the absolute path of keeperpam, which
// must belong to root and be writable by no one else. Closing it ends what it has
// started.
func NewPAM(program string) *PAM {
	return &PAM{askpam.New(func() (askpam.Child, error) { return startKeeperpam(program) }, pam.Files, pam.Check)}
}

// keeperpam is one process and the service's end of its connection.
type keeperpam struct {
	pid   int
	conn  *os.File
	pidfd *os.File

	mu     sync.Mutex // held while it is reaped or signalled
	reaped bool
}

var _ askpam.Child = (*keeperpam)(nil)

func startKeeperpam(program string) (*keeperpam, error) {
	pid, ours, err := startHelper(program, pam.Environ, nil)
	if err != nil {
		return nil, err
	}
	k := &keeperpam{pid: pid, conn: ours}
	if k.pidfd, err = openPidfd(pid); err != nil {
		ours.Close()
		unix.Kill(pid, unix.SIGKILL) // not reaped yet: the number is its own
		unix.Wait4(pid, nil, 0, nil)
		return nil, err
	}
	return k, nil
}

// Conn implements askpam.Child.
func (k *keeperpam) Conn() *os.File { return k.conn }

// Wait implements askpam.Child, without a thread that waits.
func (k *keeperpam) Wait() {
	if raw, err := k.pidfd.SyscallConn(); err == nil {
		raw.Read(func(uintptr) bool { return k.reap() })
	}
	k.pidfd.Close()
}

// reap reports whether the process has ended.
func (k *keeperpam) reap() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	pid, _ := unix.Wait4(k.pid, nil, unix.WNOHANG, nil)
	k.reaped = pid != 0 // also if it is no child any more
	return k.reaped
}

// Kill implements askpam.Child.
func (k *keeperpam) Kill() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.reaped { // else the number may be another process's
		unix.Kill(k.pid, unix.SIGSTOP) // it starts nothing more
		killDescendants(k.pid)
		unix.Kill(k.pid, unix.SIGKILL)
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
		s, ok := readStat(other)
		if !ok || other == pid {
			continue
		}
		if line, _ := s.lineage(); slices.Contains(line, root) {
			killExactly(core.ProcessID{PID: other, Start: s.start})
		}
	}
}

// pamSession is a session that is open.
type pamSession struct {
	process     *askpam.Process
	environment []string
	limits      []pam.Limit
}

// open opens a session for an account; it is nil where PAM is not asked.
//
// Attack: a user opens so many files that PAM's for us cannot be read, and the limits
// that it sets are not theirs. A file that is there and cannot be read stops the launch.
func (p *PAM) open(ctx context.Context, as core.Identity, environment []string) (*pamSession, error) {
	if p == nil {
		return nil, nil
	}
	switch err := p.Missing(); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil && !errors.Is(err, pam.ErrAsksNobody):
		return nil, fmt.Errorf("open a PAM session for %s: %w", as.Account.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, pamTime)
	defer cancel()
	process, err := p.Ask(pam.Question{Kind: pam.Session, User: as.Account.Name, Environment: environment})
	if err != nil {
		return nil, err
	}
	for {
		m, err := process.Receive(ctx)
		switch {
		case err == nil && m.Kind == pam.Done && m.Code == 0:
			return &pamSession{process, m.Environment, m.Limits}, nil
		case err == nil && m.Kind == pam.Done:
			err = askpam.Outcome(m)
		case err == nil && (m.Kind == pam.Prompt || m.Kind == pam.Secret): // nobody is there to ask
			err = process.Answer(pam.Answer{Cancelled: true})
		}
		if err != nil {
			process.Close()
			process.End() // what it has opened it closes
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

//go:build linux

package linux

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/confined"
	"kpm/platform/unix/handover"
)

// Confiner starts keeperreader without privileges, has it give up the rest
// (package confined), and has the kernel say that it did before anyone hands it
// anything.
type Confiner struct {
	path string

	mu       sync.Mutex
	program  *os.File // opened at the first start
	null     *os.File
	closed   bool
	alive    map[*confinedProcess]bool
	watchers sync.WaitGroup
}

var _ port.Confiner = (*Confiner)(nil)

// Users and groups of confined processes: each has one that no other process
// has. Attack: processes that share a user ("nobody") may signal and stop each
// other. The 2^22 from 2130706432 on are given to nobody by systemd (UIDS-GIDS),
// which leaves 1879048192 to 2147352575 free, nor by sssd, whose default range
// ends below 2000200000.
const (
	firstConfined = reserved
	confinedIDs   = 1 << 22
)

// NewConfiner returns a Confiner that starts program, the absolute path of
// keeperreader, which must belong to root and be writable by no one else. It is
// opened when the first process is needed.
func NewConfiner(program string) *Confiner {
	return &Confiner{path: program, alive: map[*confinedProcess]bool{}}
}

// Start implements port.Confiner.
//
// Attack: a kernel that lacks something (ENOSYS is errors.ErrUnsupported) makes
// the service believe that no file here can carry a signature. So no error of
// the kernel's is wrapped.
func (c *Confiner) Start(ctx context.Context) (port.Confined, error) {
	p, err := c.fork()
	if err != nil {
		return nil, fmt.Errorf("start %s: %s", confined.Name, err.Error())
	}
	err = handover.AwaitReady(ctx, p.conn)
	if err == nil {
		err = verifyConfined(p.id.PID, p.user)
	}
	// Until here nobody has waited for it, so that the number was its own.
	c.watch(p)
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("start %s: %s", confined.Name, err.Error())
	}
	return p, nil
}

// open opens the program once: what was checked is what is started, also after
// an upgrade has replaced the file. c.mu is held.
func (c *Confiner) open() (err error) {
	if c.closed {
		return errClosed
	}
	if c.program != nil {
		return nil
	}
	if c.null == nil {
		if c.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
			return err
		}
	}
	c.program, err = openHelper(c.path)
	return err
}

// fork starts a process, which has the connection and nothing else.
func (c *Confiner) fork() (*confinedProcess, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.open(); err != nil {
		return nil, err
	}
	ours, theirs, err := connection()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	null := c.null.Fd()
	// In our session, where the launcher leaves it to whoever started it; in a
	// process group of its own, for signals from a terminal are the service's.
	user := c.freeUser()
	pid, err := startUnprivileged(procFd(int(c.program.Fd())), []string{confined.Name}, &syscall.ProcAttr{
		Dir: "/", Env: confined.Environ, Files: []uintptr{null, null, null, theirs.Fd()},
		Sys: &syscall.SysProcAttr{Setpgid: true},
	}, user)
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("as user %d: %w", user, err) // EINVAL: a user namespace without it
	}
	p := &confinedProcess{conn: ours, id: core.ProcessID{PID: pid}, user: user}
	if p.id.Start, err = startTicks(pid); err == nil {
		p.pidfd, err = openPidfd(pid)
	}
	if err != nil {
		ours.Close()
		unix.Kill(pid, unix.SIGKILL)
		unix.Wait4(pid, nil, 0, nil)
		return nil, err
	}
	c.alive[p] = true
	c.watchers.Add(1)
	return p, nil
}

// freeUser draws a user that no process of ours has. Another agent on this
// machine draws from as many. c.mu is held.
func (c *Confiner) freeUser() uint32 {
	for {
		user := firstConfined + rand.Uint32N(confinedIDs)
		taken := false
		for p := range c.alive {
			taken = taken || p.user == user
		}
		if !taken {
			return user
		}
	}
}

// watch reaps the process when it ends, without a thread that waits.
func (c *Confiner) watch(p *confinedProcess) {
	go func() {
		defer c.watchers.Done()
		defer p.pidfd.Close()
		if raw, err := p.pidfd.SyscallConn(); err == nil {
			raw.Read(func(uintptr) bool { return p.reap() })
		}
		c.mu.Lock()
		delete(c.alive, p)
		c.mu.Unlock()
	}()
}

// Close ends every process, and waits a while for them to be gone.
func (c *Confiner) Close() error {
	c.mu.Lock()
	c.closed = true
	for p := range c.alive {
		p.Close() // its owner may have closed it, or still will
	}
	program, null := c.program, c.null
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
	if program != nil {
		program.Close()
	}
	if null != nil {
		null.Close()
	}
	return nil
}

// confinedProcess is one process and the service's end of its connection.
type confinedProcess struct {
	id    core.ProcessID
	user  uint32
	conn  *os.File
	pidfd *os.File // becomes readable when it ends

	mu     sync.Mutex // held while it is reaped or signalled
	reaped bool
}

var _ port.Confined = (*confinedProcess)(nil)

// ID implements port.Confined.
func (p *confinedProcess) ID() core.ProcessID { return p.id }

// Send implements port.Confined.
func (p *confinedProcess) Send(message []byte, file *os.File) error {
	if file == nil {
		_, err := p.conn.Write(message)
		return err
	}
	sent, err := sendFiles(p.conn, message, []*os.File{file})
	if err == nil && sent < len(message) {
		_, err = p.conn.Write(message[sent:])
	}
	return err
}

// Read implements port.Confined.
func (p *confinedProcess) Read(b []byte) (int, error) { return p.conn.Read(b) }

// SetDeadline implements port.Confined.
func (p *confinedProcess) SetDeadline(t time.Time) error { return p.conn.SetDeadline(t) }

// Close implements port.Confined.
func (p *confinedProcess) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped { // else the number may be another process's
		unix.Kill(p.id.PID, unix.SIGKILL) // it is a child: it is there
	}
	return p.conn.Close()
}

// reap reports whether the process has ended.
func (p *confinedProcess) reap() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	pid, _ := unix.Wait4(p.id.PID, nil, unix.WNOHANG, nil)
	p.reaped = pid != 0 // also if it is no child any more
	return p.reaped
}

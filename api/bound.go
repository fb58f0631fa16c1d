package api

import (
	"errors"
	"net"
	"sync"
	"time"

	"kpm/core"
)

// boundListener hands out in-memory connections that were bound to a principal
// before their first byte (decision 16).
type boundListener struct {
	ready chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newBoundListener() *boundListener {
	return &boundListener{ready: make(chan net.Conn), done: make(chan struct{})}
}

func (l *boundListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ready:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *boundListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is a name for logs; nothing can dial it.
func (l *boundListener) Addr() net.Addr { return boundAddr{} }

type boundAddr struct{}

func (boundAddr) Network() string { return "bound" }
func (boundAddr) String() string  { return "bound" }

func (l *boundListener) dial(p core.Principal, e *entry) (net.Conn, error) {
	near, far := net.Pipe()
	c := &conn{Conn: &timed{Conn: far}, entry: e, principal: p}
	select {
	case l.ready <- c:
		return near, nil
	case <-l.done:
		near.Close()
		far.Close()
		return nil, net.ErrClosed
	}
}

// timed is an end of a net.Pipe whose deadlines go with it. Those of a pipe stay behind
// when it is closed: each keeps it in memory, and wakes the service when it comes.
type timed struct {
	net.Conn

	mu     sync.Mutex
	timers [2]*time.Timer // of reading and of writing, nil without a deadline
	closed bool
}

// Close implements net.Conn.
func (c *timed) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.forget(0)
	c.forget(1)
	return c.Conn.Close()
}

func (c *timed) forget(i int) {
	if c.timers[i] != nil {
		c.timers[i].Stop()
		c.timers[i] = nil
	}
}

// until sets a deadline by set, whose own are used only where they have come.
func (c *timed) until(i int, set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.forget(i)
	left := time.Until(t)
	if t.IsZero() || left <= 0 {
		return set(t)
	}
	if err := set(time.Time{}); err != nil {
		return err
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timers[i] == timer { // or there is another deadline by now
			_ = set(longAgo) // the other end may have closed it
		}
	})
	c.timers[i] = timer
	return nil
}

// SetDeadline implements net.Conn.
func (c *timed) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *timed) SetReadDeadline(t time.Time) error { return c.until(0, c.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *timed) SetWriteDeadline(t time.Time) error { return c.until(1, c.Conn.SetWriteDeadline, t) }

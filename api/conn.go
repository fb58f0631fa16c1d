package api

import (
	"net"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// conn is an accepted connection and who the kernel said holds its other end
// when it was accepted. Asking once, and as early as possible, is the safe
// order: whoever holds the socket later cannot raise what was found
// (decision 11).
type conn struct {
	net.Conn
	entry *entry
	// peer has no processes, and so is Public, if it could not be established.
	peer core.Peer
	// exhausted is why the peer could not be established, if the machine was
	// out of something: then nobody is told that they are a stranger.
	exhausted error
	// signed and unsigned are what Server.atAccept said.
	signed   bool
	unsigned string
	// principal is who asks, if entry.bound: a job run, which has no net.Conn.
	principal core.Principal

	hold *fair.Hold[core.UserID] // nil if entry.bound

	mu    sync.Mutex
	given bool // it is to end, for somebody else's sake
}

// Close stops counting the connection.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.hold.Release()
	return err
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// giveUp ends the connection soon: closing it here could wait for whoever looks
// at it.
func (c *conn) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = true
	c.Conn.SetDeadline(longAgo)
}

// until sets a deadline, unless the connection has been given up.
func (c *conn) until(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given {
		t = longAgo
	}
	return set(t)
}

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error { return c.until(c.Conn.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.until(c.Conn.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.until(c.Conn.SetWriteDeadline, t) }

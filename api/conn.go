package api

import (
	"net"

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
	// signed and unsigned are what Server.atAccept said.
	signed   bool
	unsigned string
	// principal is who an entry.bound connection was made for.
	principal core.Principal

	slot *fair.Slot[core.UserID] // nil for an entry.bound connection
}

// Close gives the connection's slot back.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.slot.Release()
	return err
}

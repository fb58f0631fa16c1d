package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	mqtt "github.com/mochi-mqtt/server/v2"

	"kpm/core"
	"kpm/core/fair"
)

// conn is one connection, as mochi sees it and with everything that this
// package knows about it.
type conn struct {
	net.Conn          // the plain side: the socket, or TLS on it
	socket   net.Conn // what was accepted
	head     []byte   // CONNECT's fixed header, read ahead for mochi
	closing  sync.Once
	done     chan struct{} // closed when the connection is closed
	gone     chan struct{} // closed when nothing of it is left

	peer    core.Peer
	peerErr error
	waiting *fair.Hold[core.UserID] // until the client id is reserved

	deadline sync.Mutex
	given    bool // it is to end, for somebody else's sake

	// Set once, before the client id is reserved, and constant from then on.
	speaker
	root    core.ProcessID
	id      string
	owned   *fair.Slot[core.Principal] // with the client id, under Broker.mu
	version byte                       // 4 or 5
	client  *mqtt.Client
	out     *outbox
	will    *publication

	// The connection's own goroutine only.
	admitted bool
	arrived  bool
	pending  *publication // the permitted publish that mochi is looking at
}

func newConn(socket net.Conn, config *tls.Config) *conn {
	if tcp, ok := socket.(interface{ SetNoDelay(bool) error }); ok {
		tcp.SetNoDelay(true) // a question must not wait for the acknowledgement of another
	}
	// Also before the TLS hello: a silent socket costs a goroutine for this
	// long, no more. mochi itself would keep it for ever.
	socket.SetDeadline(time.Now().Add(connectTimeout))
	c := &conn{
		Conn:   impatient{socket},
		socket: socket,
		done:   make(chan struct{}),
		gone:   make(chan struct{}),
	}
	if config != nil {
		c.Conn = tls.Server(c.Conn, config)
	}
	return c
}

// impatient is a socket that is closed when a write takes too long or fails. A
// peer that stops reading would otherwise block whoever writes to it, and mochi
// ignores errors of writes.
type impatient struct{ net.Conn }

func (s impatient) Write(p []byte) (int, error) {
	s.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	n, err := s.Conn.Write(p)
	if err != nil {
		s.Conn.Close()
	}
	return n, err
}

// Read returns the header that was read ahead, then what follows.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// SetDeadline is mochi's keep-alive: it concerns reading. Writes have their own
// deadline, each.
func (c *conn) SetDeadline(t time.Time) error {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if c.given {
		t = longAgo
	}
	return c.socket.SetReadDeadline(t)
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// giveUp ends the wait for a CONNECT. It does not wait itself: closing the
// socket would, for whoever looks at it.
func (c *conn) giveUp() {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	c.given = true
	c.socket.SetDeadline(longAgo)
}

// Write is mochi's. Once the connection is established it only queues.
func (c *conn) Write(p []byte) (int, error) {
	if !c.arrived {
		return c.Conn.Write(p)
	}
	if !c.out.putControl(p) {
		c.cut()
		return 0, errQueueFull
	}
	return len(p), nil
}

// Close is mochi's: what it has written is written first.
func (c *conn) Close() error {
	if c.arrived {
		c.closing.Do(func() { close(c.done) })
		return nil
	}
	c.cut()
	return nil
}

// cut closes the socket at once. TLS is not asked to say goodbye: to a peer that
// does not read, that takes five seconds.
func (c *conn) cut() {
	c.closing.Do(func() { close(c.done) })
	c.socket.Close()
}

const typeConnect = 0x10 // with its reserved bits

var errNotConnect = errors.New("the first packet is not a CONNECT")

// readConnectHeader reads the fixed header of the first packet. Until a CONNECT
// has begun, a connection costs nothing in mochi; and the length that a
// stranger may claim is bounded before anything is allocated for it.
func (c *conn) readConnectHeader() error {
	var head [5]byte
	n := 2
	if _, err := io.ReadFull(c.Conn, head[:n]); err != nil {
		return err
	}
	for head[0] == typeConnect && head[n-1]&0x80 != 0 && n < len(head) {
		if _, err := io.ReadFull(c.Conn, head[n:n+1]); err != nil {
			return err
		}
		n++
	}
	if err := checkConnectHeader(head[:n]); err != nil {
		return err
	}
	c.head = head[:n]
	return nil
}

// checkConnectHeader accepts a CONNECT's type byte and a complete variable byte
// integer (MQTT 5, section 1.5.5) of at most maxConnectPacket.
func checkConnectHeader(head []byte) error {
	if head[0] != typeConnect {
		return errNotConnect
	}
	length := 0
	for i, b := range head[1:] {
		length |= int(b&0x7f) << (7 * i)
	}
	if head[len(head)-1]&0x80 != 0 || length > maxConnectPacket {
		return fmt.Errorf("CONNECT claims more than %d bytes", maxConnectPacket)
	}
	return nil
}

package broker

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"kpm/broker/packet"
	"kpm/core"
	"kpm/core/fair"
)

// conn is one connection with everything that the broker knows about it.
type conn struct {
	socket net.Conn // what was accepted
	gather *gather  // writes to it
	stream net.Conn // the plain side: gather, or TLS on it
	r      *bufio.Reader

	closing  sync.Once
	done     chan struct{} // closed when the connection is to end
	farewell []byte        // written last; set before done is closed
	gone     chan struct{} // closed when nothing of it is left

	peer    core.Peer
	peerErr error
	waiting *fair.Hold[core.UserID] // until the client id is reserved
	arrived bool                    // the connection's own goroutine only

	deadline sync.Mutex
	given    bool // it is to end, for somebody else's sake

	// Set once, before the client id is reserved, and constant from then on.
	principal   core.Principal
	root        core.ProcessID
	id          string
	owned       *fair.Slot[core.Principal] // with the client id, under Broker.mu
	version     byte
	limit       uint32        // bytes of the largest packet that the client takes; 0 is none
	clean       bool          // nothing is resumed
	sessionLife uint32        // seconds for which the client asked to have its session kept
	answer      packet.Answer // to its CONNECT
	keepAlive   time.Duration // the next packet may take this long; 0 is for ever
	will        *publication
	out         *outbox
	inbound     inbound

	// rights are what the principal's file declares, as of the last change.
	rights atomic.Pointer[speaker]

	subscriptions map[string]*subscription // by filter, under routes.mu
	keeper        *keeper                  // of its plugin, or nil; under routes.mu
}

func newConn(socket net.Conn, config *tls.Config, buffers *buffers) *conn {
	if tcp, ok := socket.(interface{ SetNoDelay(bool) error }); ok {
		tcp.SetNoDelay(true) // a question must not wait for the acknowledgement of another
	}
	// Also before the TLS hello: a silent socket costs a goroutine for this
	// long, no more.
	socket.SetDeadline(time.Now().Add(connectTimeout))
	c := &conn{
		socket:        socket,
		gather:        &gather{Conn: socket, buffers: buffers},
		done:          make(chan struct{}),
		gone:          make(chan struct{}),
		subscriptions: map[string]*subscription{},
	}
	c.stream = c.gather
	if config != nil {
		c.stream = tls.Server(c.gather, config)
	}
	c.r = bufio.NewReaderSize(c.stream, readBuffer)
	c.inbound.unreleased = map[uint16]struct{}{}
	return c
}

// readBuffer is enough for a packet of the size that most have.
const readBuffer = 1 << 10

// setReadDeadline bounds the wait for the next packet, unless the connection is
// to end.
func (c *conn) setReadDeadline(t time.Time) {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if c.given {
		t = longAgo
	}
	c.socket.SetReadDeadline(t)
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

// admit ends the time that a CONNECT may take, for writing; what comes next has a
// deadline of its own.
func (c *conn) admit() {
	c.deadline.Lock()
	defer c.deadline.Unlock()
	if !c.given {
		c.socket.SetWriteDeadline(time.Time{})
	}
}

// finish ends the connection after what was answered has been written, and then
// farewell. To a peer that does not read, that takes goodbyeTimeout.
func (c *conn) finish(farewell []byte) {
	c.closing.Do(func() {
		c.farewell = farewell
		c.deadline.Lock()
		c.given = true
		c.socket.SetReadDeadline(longAgo)
		c.socket.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
		c.deadline.Unlock()
		close(c.done)
	})
}

// ending reports whether the connection has ended or is about to.
func (c *conn) ending() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// dismiss is finish with a DISCONNECT, which version 3.1.1 does not have.
func (c *conn) dismiss(code packet.Code, reason string) {
	var farewell []byte
	if c.version == packet.Version5 {
		farewell = packet.AppendDisconnect(nil, code, reason, c.limit)
	}
	c.finish(farewell)
}

// cut closes the socket at once. TLS is not asked to say goodbye: to a peer that
// does not read, that takes five seconds.
func (c *conn) cut() {
	c.closing.Do(func() { close(c.done) })
	c.socket.Close()
}

// handshake is TLS's, within the time for a CONNECT. A client's Nagle delay holds
// its CONNECT back until the end of the handshake has been acknowledged, which
// the system would put off for 40 ms.
func (c *conn) handshake(peers Peers) error {
	t, ok := c.stream.(*tls.Conn)
	if !ok {
		return nil
	}
	if err := t.HandshakeContext(context.Background()); err != nil {
		return err
	}
	if p, ok := peers.(prompter); ok {
		p.AcknowledgeNow(c.socket)
	}
	return nil
}

var errNotConnect = errors.New("the first packet is not a CONNECT")

// readConnect reads the first packet. Until a CONNECT has begun, a connection
// costs next to nothing; and the length that a stranger may claim is bounded
// before anything is allocated for it.
func (c *conn) readConnect() ([]byte, error) {
	first, err := c.r.Peek(1)
	if err != nil {
		return nil, err
	}
	if packet.Type(first[0]>>4) != packet.Connect { // TLS to a plain socket, for example
		return nil, errNotConnect
	}
	h, err := packet.ReadHeader(c.r)
	if err != nil {
		return nil, err
	}
	if h.Length > maxConnectPacket {
		return nil, fmt.Errorf("CONNECT claims more than %d bytes", maxConnectPacket)
	}
	return c.readBody(h.Length)
}

func (c *conn) readBody(length int) ([]byte, error) {
	body := make([]byte, length)
	_, err := io.ReadFull(c.r, body)
	return body, err
}

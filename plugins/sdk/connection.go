package sdk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"kpm/core/wire"
)

// Times of one connection. It is a local one, and ends when the process at its other end
// does: pings only find one that lives and does nothing, and each wakes two processes.
const (
	callTimeout  = 5 * time.Second // connecting, subscribing, one write
	keepAlive    = 10 * time.Minute
	pingInterval = keepAlive - 10*time.Second
	silenceLimit = 2*pingInterval + 10*time.Second // the broker answers pings
)

// Errors of a connection.
var (
	ErrRefused      = errors.New("the broker refused")
	ErrDisconnected = errors.New("not connected to the broker")
	errProtocol     = errors.New("the broker broke the protocol")
)

// connection is one MQTT connection from CONNECT to its end. It has two
// goroutines, the reader and the pinger; both have ended when ended is closed.
type connection struct {
	conn  net.Conn
	read  *bufio.Reader
	ended chan struct{}
	cause error // why; to be read after ended

	writing sync.Mutex

	mu      sync.Mutex
	nextID  uint16
	waiting map[uint16]chan byte // SUBACK by packet id
}

// connect makes a connection for clientID. Each published message is handed to
// deliver, on the reader's goroutine.
func connect(ctx context.Context, network Network, clientID string, deliver func(Message)) (*connection, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	conn, err := network.DialBroker(ctx)
	if err != nil {
		return nil, err
	}
	c := &connection{conn: conn, read: bufio.NewReader(conn), ended: make(chan struct{}), waiting: map[uint16]chan byte{}}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	if err := c.shake(clientID); err != nil {
		stop()
		conn.Close()
		return nil, err
	}
	if !stop() { // cancelled after all
		conn.Close()
		return nil, fmt.Errorf("sdk: connect: %w", ctx.Err())
	}
	go c.serve(deliver)
	return c, nil
}

func (c *connection) shake(clientID string) error {
	hello := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
	hello.ProtocolName, hello.ProtocolVersion = "MQTT", 4
	hello.ClientIdentifier = clientID
	hello.CleanSession = true
	hello.Keepalive = uint16(keepAlive / time.Second)
	if err := hello.Write(c.conn); err != nil {
		return fmt.Errorf("sdk: connect: %w", err)
	}
	packet, err := c.next()
	if err != nil {
		return fmt.Errorf("sdk: connect: %w", err)
	}
	answer, ok := packet.(*packets.ConnackPacket)
	if !ok {
		return fmt.Errorf("sdk: connect: %w", errProtocol)
	}
	if answer.ReturnCode != packets.Accepted {
		return fmt.Errorf("sdk: connect as %q: %w: %s", clientID, ErrRefused, packets.ConnackReturnCodes[answer.ReturnCode])
	}
	return nil
}

// next reads one packet, refusing a length that no broker of ours sends before
// any memory is set aside for it.
func (c *connection) next() (packets.ControlPacket, error) {
	length, shift := 0, 0
	for n := 2; ; n++ {
		head, err := c.read.Peek(n)
		if err != nil {
			return nil, err
		}
		length |= int(head[n-1]&0x7f) << shift
		if head[n-1]&0x80 == 0 {
			break
		}
		if shift += 7; n == 5 {
			return nil, errProtocol
		}
	}
	if length > wire.MaxMessage {
		return nil, fmt.Errorf("%w: a packet of %d bytes", errProtocol, length)
	}
	return packets.ReadPacket(c.read)
}

// serve reads until the connection ends.
func (c *connection) serve(deliver func(Message)) {
	stop, pinger := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(pinger)
		c.ping(stop)
	}()
	err := c.receive(deliver)
	c.conn.Close()
	close(stop)
	<-pinger
	c.cause = err
	close(c.ended)
}

func (c *connection) receive(deliver func(Message)) error {
	for {
		if err := c.conn.SetReadDeadline(time.Now().Add(silenceLimit)); err != nil {
			return err
		}
		packet, err := c.next()
		if err != nil {
			return err
		}
		switch p := packet.(type) {
		case *packets.PublishPacket:
			if p.Qos != 0 { // more was never asked for
				return fmt.Errorf("%w: QoS %d", errProtocol, p.Qos)
			}
			deliver(Message{Topic: p.TopicName, Payload: p.Payload})
		case *packets.SubackPacket:
			c.acknowledge(p)
		case *packets.PingrespPacket:
		default:
			return errProtocol
		}
	}
}

func (c *connection) ping(stop <-chan struct{}) {
	tick := time.NewTicker(pingInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			if c.write(packets.NewControlPacket(packets.Pingreq)) != nil {
				return // write has closed the connection; the reader ends it
			}
		}
	}
}

// write sends one packet. A write that fails may have been cut in the middle:
// the connection is of no use any more.
func (c *connection) write(p packets.ControlPacket) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	err := c.conn.SetWriteDeadline(time.Now().Add(callTimeout))
	if err == nil {
		err = p.Write(c.conn)
	}
	if err == nil {
		err = c.conn.SetWriteDeadline(time.Time{}) // or its timer wakes an idle process
	}
	if err != nil {
		c.conn.Close()
		return fmt.Errorf("sdk: %w: %w", ErrDisconnected, err)
	}
	return nil
}

func (c *connection) publish(topic string, payload []byte) error {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	return c.write(p)
}

// subscribe asks for filter and waits for the broker's answer.
func (c *connection) subscribe(ctx context.Context, filter string) error {
	answer := make(chan byte, 1)
	c.mu.Lock()
	c.nextID = max(c.nextID+1, 1) // 0 is not an id
	id := c.nextID
	c.waiting[id] = answer
	c.mu.Unlock()
	p := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
	p.MessageID, p.Topics, p.Qoss = id, []string{filter}, []byte{0}
	if err := c.write(p); err != nil {
		return err
	}
	timeout := time.NewTimer(callTimeout)
	defer timeout.Stop()
	select {
	case code := <-answer:
		if code >= 0x80 {
			return fmt.Errorf("sdk: subscribe to %q: %w: is it declared in the plugin's or job's file?", filter, ErrRefused)
		}
		return nil
	case <-c.ended:
		return fmt.Errorf("sdk: subscribe to %q: %w", filter, ErrDisconnected)
	case <-timeout.C:
		c.conn.Close()
		return fmt.Errorf("sdk: subscribe to %q: %w: no answer", filter, ErrDisconnected)
	case <-ctx.Done():
		return fmt.Errorf("sdk: subscribe to %q: %w", filter, ctx.Err())
	}
}

func (c *connection) acknowledge(p *packets.SubackPacket) {
	c.mu.Lock()
	answer := c.waiting[p.MessageID]
	delete(c.waiting, p.MessageID)
	c.mu.Unlock()
	if answer != nil && len(p.ReturnCodes) == 1 {
		answer <- p.ReturnCodes[0]
	}
}

// close says goodbye and waits until both goroutines have ended.
func (c *connection) close() {
	// If the goodbye cannot be said the broker sees the end of the stream.
	_ = c.write(packets.NewControlPacket(packets.Disconnect))
	c.conn.Close()
	<-c.ended
}

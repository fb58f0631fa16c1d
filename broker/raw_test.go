package broker

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// raw speaks MQTT byte by byte, for everything that a decent client would not
// send.
type raw struct {
	net.Conn
	t       testing.TB
	r       *bufio.Reader
	version byte
}

func newRaw(t testing.TB, c net.Conn, version byte) *raw {
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return &raw{c, t, bufio.NewReader(c), version}
}

// framed puts a fixed header before body.
func framed(first byte, body ...byte) []byte {
	out := []byte{first}
	for n := len(body); ; {
		digit := byte(n % 128)
		if n /= 128; n > 0 {
			out = append(out, digit|0x80)
			continue
		}
		return append(append(out, digit), body...)
	}
}

func text(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// connecting is a CONNECT; with nothing but an id it is a good one.
type connecting struct {
	id          string
	protocol    string
	version     byte
	keepAlive   uint16
	noKeepAlive bool
	keepSession bool
	willTopic   string
	willRetain  bool
	willQos     byte
	emptyWill   bool
	properties  []byte
}

func (c connecting) encode(version byte) []byte {
	if c.version == 0 {
		c.version = version
	}
	if c.protocol == "" {
		c.protocol = "MQTT"
	}
	if c.keepAlive == 0 && !c.noKeepAlive {
		c.keepAlive = 30
	}
	flags := byte(0x02)
	if c.keepSession {
		flags = 0
	}
	if c.willTopic != "" {
		flags |= 0x04 | c.willQos<<3
		if c.willRetain {
			flags |= 0x20
		}
	}
	body := append(text(c.protocol), c.version, flags)
	body = binary.BigEndian.AppendUint16(body, c.keepAlive)
	if c.version == 5 {
		body = append(body, byte(len(c.properties)))
		body = append(body, c.properties...)
	}
	body = append(body, text(c.id)...)
	if c.willTopic != "" {
		if c.version == 5 {
			body = append(body, 0)
		}
		body = append(body, text(c.willTopic)...)
		if c.emptyWill {
			body = append(body, text("")...)
		} else {
			body = append(body, text("gone")...)
		}
	}
	return framed(0x10, body...)
}

func (r *raw) send(data []byte) {
	r.t.Helper()
	if _, err := r.Write(data); err != nil {
		r.t.Fatal(err)
	}
}

// next returns the next packet.
func (r *raw) next() (first byte, body []byte, err error) {
	r.t.Helper()
	if first, err = r.r.ReadByte(); err != nil {
		return 0, nil, err
	}
	length, shift := 0, 0
	for {
		b, err := r.r.ReadByte()
		if err != nil {
			return 0, nil, err
		}
		length |= int(b&0x7f) << shift
		if shift += 7; b < 0x80 {
			break
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(r.r, body)
	return first, body, err
}

// expect returns the next packet's body; its type must be that of first.
func (r *raw) expect(what string, first byte) []byte {
	r.t.Helper()
	got, body, err := r.next()
	if err != nil || got>>4 != first>>4 {
		r.t.Fatalf("%s: got packet %#x %x, %v", what, got, body, err)
	}
	return body
}

// connect sends a CONNECT and returns the CONNACK's code.
func (r *raw) connect(c connecting) byte {
	r.t.Helper()
	r.send(c.encode(r.version))
	return r.expect("CONNACK", 0x20)[1]
}

func (r *raw) publish(topic string, qos byte, id uint16, payload []byte) {
	r.t.Helper()
	r.send(r.publication(0x30|qos<<1, topic, id, payload))
}

func (r *raw) publication(first byte, topic string, id uint16, payload []byte, properties ...byte) []byte {
	body := text(topic)
	if first&0x06 != 0 {
		body = binary.BigEndian.AppendUint16(body, id)
	}
	if r.version == 5 {
		body = append(body, byte(len(properties)))
		body = append(body, properties...)
	}
	return framed(first, append(body, payload...)...)
}

// subscribe returns the SUBACK's code.
func (r *raw) subscribe(filter string, qos byte) byte {
	r.t.Helper()
	body := []byte{0, 9}
	if r.version == 5 {
		body = append(body, 0)
	}
	r.send(framed(0x82, append(append(body, text(filter)...), qos)...))
	ack := r.expect("SUBACK", 0x90)
	return ack[len(ack)-1]
}

// alive proves that the connection still works.
func (r *raw) alive() {
	r.t.Helper()
	r.send(framed(0xc0))
	r.expect("PINGRESP", 0xd0)
}

// ended waits for the end of the connection, whatever comes before it.
func (r *raw) ended(what string) {
	r.t.Helper()
	for {
		_, _, err := r.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			r.t.Fatalf("%s: the connection is still open", what)
		}
		if err != nil {
			return
		}
	}
}

// admitted is who, connected.
func (b *bus) admitted(who member, version byte) *raw {
	b.t.Helper()
	r := newRaw(b.t, b.dial(who), version)
	if code := r.connect(connecting{id: who.id()}); code != 0 {
		b.t.Fatalf("%s: CONNACK %#x", who.id(), code)
	}
	return r
}

var bothVersions = []byte{4, 5}

package sdk

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"kpm/core/wire"
)

// scripted is a network whose broker writes what it is told and reads nothing.
type scripted struct {
	t       *testing.T
	answers []byte
	hang    bool // keep the connection open afterwards
}

func (s scripted) DialAPI(ctx context.Context) (net.Conn, error) { return s.DialBroker(ctx) }

func (s scripted) DialBroker(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		drained := make(chan struct{})
		go func() {
			defer close(drained)
			for buf := make([]byte, 512); ; {
				if _, err := theirs.Read(buf); err != nil {
					return
				}
			}
		}()
		theirs.Write(s.answers)
		if !s.hang {
			theirs.Close()
		}
		<-drained
		theirs.Close()
	}()
	return ours, nil
}

func bytesOf(t testing.TB, p packets.ControlPacket) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func connack(t testing.TB, code byte) []byte {
	p := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
	p.ReturnCode = code
	return bytesOf(t, p)
}

func TestConnectRefused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answers []byte
		want    error
		says    string
	}{
		{"not authorised", connack(t, packets.ErrRefusedNotAuthorised), ErrRefused, "Not Authorised"},
		{"another packet", bytesOf(t, packets.NewControlPacket(packets.Pingresp)), errProtocol, ""},
		{"a length without end", []byte{0x20, 0xff, 0xff, 0xff, 0xff, 0x01}, errProtocol, ""},
		{"a length past the limit", []byte{0x20, 0xff, 0xff, 0xff, 0x7f}, errProtocol, "268435455 bytes"},
		{"cut short", []byte{0x20}, nil, "EOF"},
	} {
		c, err := connect(t.Context(), scripted{t: t, answers: tc.answers}, "x_1", nil)
		if err == nil {
			c.close()
		}
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

// A broker that is silent, or sends what was never asked for, is left.
func TestConnectionEndsOnProtocolFaults(t *testing.T) {
	publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	publish.Qos, publish.MessageID, publish.TopicName = 1, 1, "x"
	for name, answers := range map[string][]byte{
		"QoS 1":             bytesOf(t, publish),
		"a client's packet": bytesOf(t, packets.NewControlPacket(packets.Pingreq)),
		"no packet":         {0xf0, 0x00},
	} {
		c, err := connect(t.Context(), scripted{t: t, answers: append(connack(t, 0), answers...), hang: true}, "x_1",
			func(m Message) { t.Errorf("%s: delivered %v", name, m) })
		if err != nil {
			t.Fatal(err)
		}
		<-c.ended
		if c.cause == nil {
			t.Errorf("%s: no cause", name)
		}
		if err := c.publish("x", nil); !errors.Is(err, ErrDisconnected) {
			t.Errorf("%s: publishing afterwards: %v", name, err)
		}
		if err := c.subscribe(t.Context(), "x"); !errors.Is(err, ErrDisconnected) {
			t.Errorf("%s: subscribing afterwards: %v", name, err)
		}
	}
}

func TestConnectIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := connect(ctx, scripted{t: t, hang: true}, "x_1", nil); err == nil {
		t.Error("connected to a broker that says nothing")
	}
}

func TestReadAnswer(t *testing.T) {
	for _, tc := range []struct{ answer, status, body, says string }{
		{"HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}", "200", "{}", ""},
		{"HTTP/1.1 404 Not Found\r\n\r\n", "404", "", ""},
		{"HTTP/1.0 200", "", "", "cut short"},
		{"", "", "", "cut short"},
		{"SSH-2.0\r\n\r\n", "", "", "not HTTP"},
		{"HTTP/1.0\r\n\r\n", "", "", "not HTTP"},
		{"HTTP/1.0 200 OK\r\n\r\n" + strings.Repeat("x", maxSettings), "", "", "more than"},
	} {
		status, body, err := readAnswer(strings.NewReader(tc.answer))
		if status != tc.status || string(body) != tc.body || (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%.30q: got %q, %q, %v", tc.answer, status, body, err)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.0 200 OK\r\nA: b\r\n\r\n{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		status, body, err := readAnswer(bytes.NewReader(data))
		if err == nil && (status == "" || len(body) > len(data)) {
			t.Errorf("got %q and %d bytes", status, len(body))
		}
	})
}

// FuzzNext: whatever a broker sends, reading it ends and sets aside no more
// memory than a message may have.
func FuzzNext(f *testing.F) {
	publish := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	publish.TopicName, publish.Payload = "KeeperPolicy", []byte("{}")
	f.Add(bytesOf(f, publish))
	f.Add(connack(f, 5))
	f.Add([]byte{0x90, 0x03, 0, 1, 0x80})
	f.Add([]byte{0x30, 0x80, 0x80, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &connection{read: bufio.NewReader(bytes.NewReader(data))}
		for {
			packet, err := c.next()
			if err != nil {
				return
			}
			if p, ok := packet.(*packets.PublishPacket); ok && len(p.Payload) > wire.MaxMessage {
				t.Errorf("a payload of %d bytes", len(p.Payload))
			}
		}
	})
}

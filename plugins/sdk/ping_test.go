package sdk

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// answering is a network whose broker answers the first pings, and then nothing.
type answering struct {
	t       *testing.T
	answers int
	heard   chan time.Time // of each ping
}

func (a answering) DialAPI(ctx context.Context) (net.Conn, error) { return a.DialBroker(ctx) }

func (a answering) DialBroker(context.Context) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer close(a.heard)
		defer theirs.Close()
		for {
			p, err := packets.ReadPacket(theirs)
			if err != nil {
				return
			}
			switch p := p.(type) {
			case *packets.ConnectPacket:
				if want := uint16(keepAlive / time.Second); p.Keepalive != want {
					a.t.Errorf("a keep-alive of %d s, want %d", p.Keepalive, want)
				}
				theirs.Write(connack(a.t, 0))
			case *packets.PingreqPacket:
				a.heard <- time.Now()
				if len(a.heard) <= a.answers {
					theirs.Write(bytesOf(a.t, packets.NewControlPacket(packets.Pingresp)))
				}
			}
		}
	}()
	return ours, nil
}

// The broker hears something within each keep-alive, however little there is to say. One
// that no longer answers is left.
func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const answers = 5
		network := answering{t, answers, make(chan time.Time, 2*answers)}
		last := time.Now()
		c, err := connect(t.Context(), network, "x_1", nil)
		if err != nil {
			t.Fatal(err)
		}
		<-c.ended
		if !errors.Is(c.cause, os.ErrDeadlineExceeded) {
			t.Errorf("ended by %v", c.cause)
		}
		var answered time.Time // the last one
		n := 0
		for at := range network.heard {
			if at.Sub(last) >= keepAlive {
				t.Errorf("nothing was said for %s", at.Sub(last))
			}
			if last = at; n < answers {
				answered = at
			}
			n++
		}
		if n <= answers {
			t.Errorf("%d pings were sent, and %d answered", n, answers)
		}
		if silent := time.Since(answered); silent > silenceLimit {
			t.Errorf("it was left after %s without an answer", silent)
		}
	})
}

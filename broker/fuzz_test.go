package broker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"kpm/core/wire"
)

// FuzzUnambiguous compares with a second way to find duplicate keys, and must
// survive whatever wire.Decode lets through.
func FuzzUnambiguous(f *testing.F) {
	for _, s := range []string{`{"MessageType":"x","Payload":{}}`, `{"MessageType":"x","Payload":[{"a":1,"A":"\"}{"}]}`, `{"messagetype":"x","payload":"","\u0050ayload":1}`, `{"MessageType":"x","Payload":"ſ","ſ":1,"S":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := wire.Decode(data); err != nil {
			return
		}
		if got, want := unambiguous(data) == nil, slowlyUnambiguous(t, json.NewDecoder(bytes.NewReader(data))); got != want {
			t.Errorf("%q: got %v, want %v", data, got, want)
		}
	})
}

func slowlyUnambiguous(t *testing.T, d *json.Decoder) bool {
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	open, ok := token.(json.Delim)
	if !ok {
		return true
	}
	unique := true
	var keys []string
	for d.More() {
		if open == '{' {
			token, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				unique = unique && !strings.EqualFold(key, token.(string))
			}
			keys = append(keys, token.(string))
		}
		unique = slowlyUnambiguous(t, d) && unique
	}
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	return unique
}

// FuzzSession sends bytes over an admitted connection: nothing of that may
// disturb anyone else.
func FuzzSession(f *testing.F) {
	for _, version := range bothVersions {
		for _, seed := range sessions(version) {
			f.Add(version, seed)
		}
	}
	b := newBus(f)
	path := b.local(nosy)
	witness := b.admitted(policy, 4)
	witness.SetReadDeadline(time.Time{})
	witness.subscribe("KeeperPolicy", 1)
	f.Fuzz(func(t *testing.T, version byte, data []byte) {
		version = 4 + version&1
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(connecting{id: nosy.id(), willTopic: "x"}.encode(version))
		c.Write(data)
		c.(*net.UnixConn).CloseWrite()
		io.Copy(io.Discard, c)
		witness.t = t
		witness.alive()
	})
}

// sessions are packets of each type that a client sends, well-formed.
func sessions(version byte) [][]byte {
	r := &raw{version: version}
	none := []byte{}
	if version == 5 {
		none = []byte{0}
	}
	list := func(first byte, id byte, parts ...[]byte) []byte {
		return framed(first, append([]byte{0, id}, bytes.Join(append([][]byte{none}, parts...), nil)...)...)
	}
	return [][]byte{
		r.publication(0x30, "x", 0, []byte("payload")),
		r.publication(0x32, "a/b", 1, []byte("payload")),
		r.publication(0x34, "KeeperPolicy", 2, []byte(`{"MessageType":"PolicyRequest","Payload":{}}`)),
		r.publication(0x35, "EventMessages", 3, []byte(`{"MessageType":"CustomEvent","Source":"Nosy","Payload":{"EventName":"x","Context":{"RequestId":1}}}`)),
		list(0x82, 1, text("x"), []byte{1}, text("#"), []byte{2}),
		list(0x82, 2, text("$share/g/x"), []byte{0}),
		list(0xa2, 3, text("x")),
		framed(0x40, 0, 1), framed(0x50, 0, 1), framed(0x62, 0, 1), framed(0x70, 0, 1),
		framed(0xc0), framed(0xe0), framed(0xf0, 0x18, 0),
		connecting{id: nosy.id()}.encode(version),
	}
}

// Ten thousand broken packets, by the same dice each time: the service survives,
// nobody else notices, and nothing is left behind.
func TestTenThousandBrokenPackets(t *testing.T) {
	chaos := job
	chaos.Name, chaos.publish, chaos.subscribe = "chaos", []string{"#"}, []string{"#"}
	b := newBus(t, func(cfg *Config) { cfg.Registry.(*world).members[chaos.pid] = chaos })
	admitted, stranger := b.local(chaos), b.local(alice)
	witness := b.admitted(policy, 4)
	witness.subscribe("KeeperPolicy", 1)
	dice := rand.New(rand.NewPCG(1, 2))
	const total, perConnection = 10_000, 10
	for n := range total / perConnection {
		version := 4 + byte(n&1)
		stream := connecting{id: fmt.Sprintf("chaos_%d_105", n), willTopic: "x"}.encode(version)
		for range perConnection {
			seeds := sessions(version)
			p := seeds[dice.IntN(len(seeds))]
			switch dice.IntN(3) {
			case 0: // anywhere
				p[dice.IntN(len(p))] = byte(dice.IntN(256))
			case 1: // a body that ends early, with a header that agrees
				p = framed(p[0], p[2:2+dice.IntN(len(p)-1)]...)
			case 2: // a body that goes on
				p = framed(p[0], append(p[2:], p...)...)
			}
			stream = append(stream, p...)
		}
		path := admitted
		if n%5 == 0 {
			path = stranger
		}
		c := dialPath(t, path).(*net.UnixConn)
		c.SetDeadline(time.Now().Add(patience))
		c.Write(stream) // fails if it was cut already
		c.CloseWrite()
		io.Copy(io.Discard, c)
		c.Close()
	}
	witness.alive()
	eventually(t, "only the witness is left", func() bool { s := b.Stats(); return s.Connections == 1 && s.Clients == 1 })
	if s := b.Stats(); s.Admitted != 1+total/perConnection*4/5 || s.Faults == 0 || s.RefusedPublishes == 0 {
		t.Errorf("the dice were too kind: %+v", s)
	}
	if b.Heard("x") {
		t.Error("a subscription is left")
	}
}

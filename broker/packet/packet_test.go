package packet

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func text(s string) []byte { return appendText(nil, s) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// connect5 is the body of a version 5 CONNECT with flags and properties, and what
// follows its client id.
func connect5(flags byte, properties []byte, more ...byte) []byte {
	return join(text("MQTT"), []byte{5, flags, 0, 30, byte(len(properties))}, properties, text("id"), more)
}

func TestConnect(t *testing.T) {
	will := join([]byte{7, 0x18, 0, 0, 0, 9, 0x01, 1}, text("topic"), text("gone"))
	c, err := DecodeConnect(connect5(0xee, []byte{0x11, 0, 0, 0, 60, 0x21, 0, 7, 0x27, 0, 0, 1, 0, 0x17, 0}, join(will, text("user"), text("secret"))...))
	if err != nil {
		t.Fatal(err)
	}
	if !c.Clean || c.KeepAlive != 30 || c.ClientID != "id" || c.SessionExpiry != 60 || c.ReceiveMaximum != 7 ||
		c.MaximumPacketSize != 256 || !c.QuietProblems {
		t.Errorf("%+v", c)
	}
	if w := c.Will; w == nil || w.Topic != "topic" || string(w.Payload) != "gone" || w.QoS != 1 || !w.Retain || !bytes.Equal(w.Passed, []byte{1, 1}) {
		t.Errorf("%+v", w)
	}
}

// Everything that is wrong with a packet has the code that section 4.13 or the
// packet's own section gives it.
func TestFaults(t *testing.T) {
	connect := func(body []byte) error { _, err := DecodeConnect(body); return err }
	publish := func(first byte, body []byte) error {
		_, err := DecodePublish(Header{Type: Publish, Flags: first & 15}, Version5, body)
		return err
	}
	subscribe := func(body []byte) error { _, err := DecodeSubscribe(Version5, body); return err }
	for _, tc := range []struct {
		name string
		err  error
		code Code
	}{
		{"an empty CONNECT", connect(nil), Malformed},
		{"a reserved flag", connect(connect5(3, nil)), Malformed},
		{"a Will of QoS 3", connect(connect5(0x1e, nil)), Malformed},
		{"flags of a Will and no Will", connect(connect5(0x22, nil)), Malformed},
		{"a property twice", connect(connect5(2, []byte{0x21, 0, 1, 0x21, 0, 1})), ProtocolError},
		{"a property of a PUBLISH", connect(connect5(2, []byte{0x23, 0, 1})), Malformed},
		{"an unknown property", connect(connect5(2, []byte{0x7f})), Malformed},
		{"a property that ends early", connect(connect5(2, []byte{0x21, 0})), Malformed},
		{"a property section that ends early", connect(join(text("MQTT"), []byte{5, 2, 0, 30, 9})), Malformed},
		{"Receive Maximum 0", connect(connect5(2, []byte{0x21, 0, 0})), ProtocolError},
		{"Maximum Packet Size 0", connect(connect5(2, []byte{0x27, 0, 0, 0, 0})), ProtocolError},
		{"authentication data alone", connect(connect5(2, []byte{0x16, 0, 0})), ProtocolError},
		{"bytes behind the end", connect(connect5(2, nil, 0)), Malformed},
		{"a client id with U+0000", connect(join(text("MQTT"), []byte{5, 2, 0, 30, 0}, text("a\x00"))), Malformed},
		{"a topic that is not UTF-8", publish(0x30, join(text("\xc3"), []byte{0})), Malformed},
		{"an empty topic", publish(0x30, join(text(""), []byte{0})), ProtocolError},
		{"a wildcard", publish(0x30, join(text("a/#"), []byte{0})), TopicInvalid},
		{"packet id 0", publish(0x32, join(text("a"), []byte{0, 0, 0})), ProtocolError},
		{"a topic alias", publish(0x30, join(text("a"), []byte{3, 0x23, 0, 1})), AliasInvalid},
		{"a subscription identifier", publish(0x30, join(text("a"), []byte{2, 0x0b, 1})), ProtocolError},
		{"a response topic with a wildcard", publish(0x30, join(text("a"), []byte{4, 0x08, 0, 1, '+'})), ProtocolError},
		{"payload format 2", publish(0x30, join(text("a"), []byte{2, 0x01, 2})), ProtocolError},
		{"a length of five bytes in properties", publish(0x30, join(text("a"), []byte{0xff, 0xff, 0xff, 0xff, 1})), Malformed},
		{"no filter", subscribe([]byte{0, 1, 0}), ProtocolError},
		{"a filter without options", subscribe(join([]byte{0, 1, 0}, text("a"))), Malformed},
		{"QoS 3", subscribe(join([]byte{0, 1, 0}, text("a"), []byte{3})), Malformed},
		{"reserved options", subscribe(join([]byte{0, 1, 0}, text("a"), []byte{0x40})), Malformed},
		{"retain handling 3", subscribe(join([]byte{0, 1, 0}, text("a"), []byte{0x30})), ProtocolError},
		{"No Local of a shared subscription", subscribe(join([]byte{0, 1, 0}, text("$share/g/a"), []byte{4})), ProtocolError},
		{"subscription identifier 0", subscribe(join([]byte{0, 1, 2, 0x0b, 0}, text("a"), []byte{0})), ProtocolError},
	} {
		var fault *Fault
		if !errors.As(tc.err, &fault) || fault.Code != tc.code || fault.Reason == "" {
			t.Errorf("%s: %v, want code %#x", tc.name, tc.err, tc.code)
		}
	}
}

func TestHeaders(t *testing.T) {
	for data, want := range map[string]Header{
		"\x10\x00":             {Type: Connect},
		"\x3d\x7f":             {Type: Publish, Flags: 0x0d, Length: 127},
		"\x82\x80\x01":         {Type: Subscribe, Flags: 2, Length: 128},
		"\x30\xff\xff\xff\x7f": {Type: Publish, Length: maxLength},
	} {
		if got, err := ReadHeader(strings.NewReader(data)); err != nil || got != want {
			t.Errorf("%x: %+v, %v", data, got, err)
		}
	}
	for _, data := range []string{"\x00\x00", "\x11\x00", "\x36\x00", "\x38\x00", "\x60\x02", "\x80\x02", "\x30\xff\xff\xff\xff\x01"} {
		var fault *Fault
		if _, err := ReadHeader(strings.NewReader(data)); !errors.As(err, &fault) || fault.Code != Malformed {
			t.Errorf("%x: %v", data, err)
		}
	}
	if _, err := ReadHeader(strings.NewReader("\x30\x80")); !errors.Is(err, io.EOF) {
		t.Errorf("half a header: %v", err)
	}
}

// What is written is what the other side reads: a delivery is a PUBLISH.
func TestDeliveries(t *testing.T) {
	for _, version := range []byte{Version3, Version5} {
		d := Delivery{Topic: "a/b", ID: 513, QoS: 2, Dup: true, Payload: bytes.Repeat([]byte("x"), 200)}
		if version == Version5 {
			d.Expiry, d.Passed = 9, join([]byte{0x03}, text("text/plain"))
		}
		head, size := AppendPublish([]byte("before"), version, d)
		whole := append(head[len("before"):], d.Payload...)
		if len(whole) != size {
			t.Errorf("version %d: %d bytes, said %d", version, len(whole), size)
		}
		r := bytes.NewReader(whole)
		h, err := ReadHeader(r)
		if err != nil || h.QoS() != 2 || !h.Dup() || h.Length != r.Len() {
			t.Fatalf("version %d: %+v, %v", version, h, err)
		}
		body, _ := io.ReadAll(r)
		m, err := DecodePublish(h, version, body)
		if err != nil || m.Topic != d.Topic || m.ID != d.ID || !bytes.Equal(m.Payload, d.Payload) || m.Expiry != d.Expiry || !bytes.Equal(m.Passed, d.Passed) {
			t.Errorf("version %d: %+v, %v", version, m, err)
		}
	}
}

// A reason is left out where it would make a packet larger than its reader takes.
func TestReasonsFit(t *testing.T) {
	reason := strings.Repeat("why ", 20)
	if got := AppendDisconnect(nil, TooLarge, reason, 0); !bytes.Contains(got, []byte(reason)) {
		t.Errorf("%x", got)
	}
	if got := AppendDisconnect(nil, TooLarge, reason, 40); len(got) > 40 || got[2] != byte(TooLarge) {
		t.Errorf("%x", got)
	}
	if got := AppendRefusal(nil, Version5, 0x87, reason, 20); len(got) > 20 || got[3] != 0x87 {
		t.Errorf("%x", got)
	}
	if got := AppendRefusal(nil, Version3, 5, reason, 0); !bytes.Equal(got, []byte{0x20, 2, 0, 5}) {
		t.Errorf("%x", got)
	}
}

// FuzzConnect reads what any process can send first. What is accepted is UTF-8 and
// within what the length said; nothing panics.
func FuzzConnect(f *testing.F) {
	f.Add(connect5(2, []byte{0x21, 0, 7, 0x26, 0, 1, 'k', 0, 1, 'v'}))
	f.Add(connect5(0xee, nil, join([]byte{0}, text("topic"), text("gone"), text("u"), text("p"))...))
	f.Add(join(text("MQTT"), []byte{4, 2, 0, 30}, text("id")))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := DecodeConnect(body)
		var fault *Fault
		switch {
		case err != nil && !errors.As(err, &fault):
			t.Errorf("%v is no fault", err)
		case err == nil && strings.ContainsRune(c.ClientID, 0):
			t.Errorf("%q", c.ClientID)
		case err == nil && c.Will != nil && len(c.Will.Passed) > len(body):
			t.Errorf("%+v", c.Will)
		}
	})
}

// FuzzPublish reads a PUBLISH, and what it accepts it writes so that it is read in
// the same way.
func FuzzPublish(f *testing.F) {
	f.Add(byte(0x32), byte(5), join(text("a/b"), []byte{0, 1, 11, 0x08, 0, 1, 'r', 0x02, 0, 0, 0, 9, 0x01, 1}, []byte("payload")))
	f.Add(byte(0x30), byte(4), join(text("a"), []byte("payload")))
	f.Fuzz(func(t *testing.T, first, version byte, body []byte) {
		version = Version3 + version&1
		h := Header{Type: Publish, Flags: first & 0x0f, Length: len(body)}
		if h.QoS() == 3 {
			return
		}
		m, err := DecodePublish(h, version, body)
		var fault *Fault
		if err != nil {
			if !errors.As(err, &fault) {
				t.Errorf("%v is no fault", err)
			}
			return
		}
		d := Delivery{Topic: m.Topic, ID: m.ID, QoS: h.QoS(), Dup: h.Dup(), Expiry: m.Expiry, Passed: m.Passed, Payload: m.Payload}
		head, _ := AppendPublish(nil, version, d)
		r := bytes.NewReader(append(head, m.Payload...))
		again, err := ReadHeader(r)
		if h.QoS() == 0 && h.Dup() {
			return
		}
		if err != nil || again.Length != r.Len() {
			t.Fatalf("header %+v, %v", again, err)
		}
		rest, _ := io.ReadAll(r)
		n, err := DecodePublish(again, version, rest)
		if err != nil || n.Topic != m.Topic || n.ID != m.ID || !bytes.Equal(n.Payload, m.Payload) || !bytes.Equal(n.Passed, m.Passed) || n.Expiry != m.Expiry {
			t.Errorf("%+v became %+v, %v", m, n, err)
		}
	})
}

package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// The statements of the two specifications about a server that a client can see
// hold or not, tried byte by byte. docs/mqtt.md has the same table, with what
// mosquitto makes of each.

// statement is one of them.
type statement struct {
	id       string // of 3.1.1, of 5 or of both: without "MQTT-"
	versions string // "3", "5" or "35"
	says     string
	differs  string // why it does not hold here, in the words of docs/mqtt.md; empty if it does
	try      func(s *stand)
}

// statements are tried in this order.
var statements = slices.Concat(connectStatements, publishStatements, subscribeStatements)

// stand is where a statement is tried: a broker with two clients that may say and
// hear everything.
type stand struct {
	testing.TB
	version  byte
	dial     func(n int) net.Conn
	ids      [2]string
	patience time.Duration // with what has to come
	fault    string
	open     []net.Conn
}

func (s *stand) Helper() {}

func (s *stand) Errorf(format string, args ...any) {
	if s.fault == "" {
		s.fault = fmt.Sprintf(format, args...)
	}
}

func (s *stand) Error(args ...any) { s.Errorf("%s", fmt.Sprint(args...)) }

func (s *stand) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	runtime.Goexit()
}

func (s *stand) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }

// socket is a connection before CONNECT.
func (s *stand) socket(n int) *raw {
	c := s.dial(n)
	s.open = append(s.open, c)
	r := newRaw(s, c, s.version)
	c.SetReadDeadline(time.Now().Add(s.patience))
	return r
}

// with is client n, connected as c says.
func (s *stand) with(n int, c connecting) *raw {
	r := s.socket(n)
	c.id = s.ids[n]
	if code := r.connect(c); code != 0 {
		s.Fatalf("CONNACK %#x", code)
	}
	return r
}

func (s *stand) client(n int) *raw { return s.with(n, connecting{}) }

// refused sends what is no acceptable CONNECT: nothing or a refusal may follow,
// and then the end.
func (s *stand) refused(data []byte) {
	r := s.socket(0)
	r.Write(data)
	first, body, err := r.next()
	if err == nil && (first != 0x20 || len(body) < 2 || body[1] == 0) {
		s.Fatalf("answered with packet %#x %x", first, body)
	}
	if err == nil {
		_, _, err = r.next()
	}
	r.mustEnd(err)
}

func (r *raw) mustEnd(err error) {
	r.t.Helper()
	if err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("the connection goes on: %v", err)
	}
}

// fatal sends what ends the connection; version 5 may be told why, with one of
// codes if any are given.
func (s *stand) fatal(data []byte, codes ...byte) {
	r := s.client(0)
	r.Write(data)
	first, body, err := r.next()
	if err == nil {
		if s.version != 5 || first != 0xe0 || len(body) == 0 || body[0] < 0x80 || len(codes) > 0 && !slices.Contains(codes, body[0]) {
			s.Fatalf("answered with packet %#x %x", first, body)
		}
		_, _, err = r.next()
	}
	r.mustEnd(err)
}

// subscribes is a SUBSCRIBE of one filter with options.
func (r *raw) subscribes(filter string, options byte, properties ...byte) []byte {
	body := []byte{0, 5}
	if r.version == 5 {
		body = append(append(body, byte(len(properties))), properties...)
	}
	return framed(0x82, append(append(body, text(filter)...), options)...)
}

// payload returns the end of the next packet, which has to be a PUBLISH.
func (r *raw) payload(n int) (first byte, payload string) {
	r.t.Helper()
	first, body, err := r.next()
	if err != nil || first>>4 != 3 || len(body) < n {
		r.t.Fatalf("want a PUBLISH, got %#x %x, %v", first, body, err)
	}
	return first, string(body[len(body)-n:])
}

// properties5 is a property section of a version 5 packet, and nothing before.
func (s *stand) properties5(p ...byte) []byte {
	if s.version == 5 {
		return append([]byte{byte(len(p))}, p...)
	}
	return nil
}

func (s *stand) raw() *raw { return &raw{t: s, version: s.version} }

// withFlags is a CONNECT with other flags than its own.
func (s *stand) withFlags(flags byte, more ...byte) []byte {
	data := connecting{id: s.ids[0]}.encode(s.version)
	body := append(data[2:], more...)
	body[7] = flags
	return framed(0x10, body...)
}

// will connects client 1 with a Will that client 0 hears, ends it, and returns what
// client 0 hears first: the Will, or "mark" that client 1 says on a connection after
// that one, if it says anything.
func (s *stand) will(end func(r *raw), mark bool) string {
	sub := s.client(0)
	sub.subscribe("st/will", 1)
	r := s.with(1, connecting{willTopic: "st/will", willQos: 1})
	end(r)
	if mark {
		r.ended("DISCONNECT")
		s.client(1).publish("st/will", 0, 0, []byte("mark"))
	}
	_, payload := sub.payload(4)
	return payload
}

// willComes fails unless the Will is published when client 1 ends so.
func (s *stand) willComes(end func(r *raw)) {
	if got := s.will(end, false); got != "gone" {
		s.Errorf("heard %q", got)
	}
}

// echoes reports whether client 0 hears its own publish on topic with filter.
func (s *stand) echoes(filter, topic string) bool {
	r := s.client(0)
	if code := r.subscribe(filter, 0); code > 2 {
		s.Fatalf("SUBACK %#x", code)
	}
	r.publish(topic, 0, 0, []byte("x"))
	return r.settled()
}

// settled reports whether a PUBLISH comes before the second of two PINGRESPs. An
// answer may overtake a delivery, but not one that was there before its question.
func (r *raw) settled() (published bool) {
	r.t.Helper()
	for range 2 {
		r.send(framed(0xc0))
		for {
			first, body, err := r.next()
			if err != nil || first != 0xd0 && first>>4 != 3 {
				r.t.Fatalf("packet %#x %x, %v", first, body, err)
			}
			if first == 0xd0 {
				break
			}
			published = true
		}
	}
	return published
}

// standing runs st on a broker, and says what was wrong.
func (s *stand) standing(st statement) string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		st.try(s)
	}()
	<-done
	for _, c := range s.open {
		c.Close()
	}
	return s.fault
}

// ourStand is a broker of ours for one statement.
func ourStand(t *testing.T, version byte) *stand {
	other := plugin("Other", 130, []string{"#"}, []string{"#"})
	b := newBus(t, func(cfg *Config) { cfg.Registry.(*world).members[other.pid] = other })
	b.SetPlugins([]Plugin{{Principal: nosy.Principal, Subscribe: []string{"st/kept"}, Keep: true}})
	paths := [2]string{b.local(nosy), b.local(other)}
	return &stand{TB: t, version: version, patience: 20 * time.Second, ids: [2]string{nosy.id(), other.id()}, dial: func(n int) net.Conn {
		c, err := net.Dial("unix", paths[n])
		if err != nil {
			t.Fatal(err)
		}
		return c
	}}
}

// TestStatements holds every statement against this broker, and docs/mqtt.md
// against the outcome.
func TestStatements(t *testing.T) {
	for _, st := range statements {
		for _, v := range st.versions {
			version := byte(5)
			if v == '3' {
				version = 4
			}
			t.Run(fmt.Sprintf("%s/v%c %s", st.id, v, st.says), func(t *testing.T) {
				t.Parallel()
				s := ourStand(t, version)
				if st.differs != "" {
					s.patience = time.Second // what does not come is waited for
				}
				fault := s.standing(st)
				if (fault == "") != (st.differs == "") {
					t.Errorf("want it to hold unless %q; found: %s", st.differs, fault)
				}
			})
		}
	}
}

// TestStatementsTable compares docs/mqtt.md with the table here; with
// KPM_MOSQUITTO=1 also with what the mosquitto of the document does, which takes a
// minute.
func TestStatementsTable(t *testing.T) {
	data, err := os.ReadFile("../docs/mqtt.md")
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for _, st := range statements {
		here := "yes"
		if st.differs != "" {
			here = "no: " + st.differs
		}
		versions := strings.NewReplacer("35", "both", "3", "3.1.1").Replace(st.versions)
		row := fmt.Sprintf("| %s | %s | %s | %s | ", st.id, versions, st.says, here)
		if os.Getenv("KPM_MOSQUITTO") != "" {
			row += theirStand(t, st) + " |"
		}
		if !strings.Contains(string(data), row) {
			missing = append(missing, row)
		}
	}
	if len(missing) > 0 {
		t.Errorf("docs/mqtt.md lacks %d rows:\n%s", len(missing), strings.Join(missing, "\n"))
	}
}

// theirStand says in one word whether st holds on mosquitto.
func theirStand(t *testing.T, st statement) string {
	held := 0
	for _, v := range st.versions {
		version := byte(5)
		if v == '3' {
			version = 4
		}
		path := anyMosquitto(t)
		s := &stand{TB: t, version: version, patience: 3 * time.Second, ids: [2]string{"one", "other"}, dial: func(int) net.Conn {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}}
		if fault := s.standing(st); fault == "" {
			held++
		} else {
			t.Logf("mosquitto: %s v%c %s: %s", st.id, v, st.says, fault)
		}
	}
	switch held {
	case len(st.versions):
		return "yes"
	case 0:
		return "no"
	}
	return "in one version"
}

// anyMosquitto starts one for one statement and returns its socket.
func anyMosquitto(t *testing.T) string {
	dir := t.TempDir()
	path, conf := filepath.Join(dir, "s"), filepath.Join(dir, "conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "user root\nallow_anonymous true\nlistener 0 %s\n", path), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mosquitto", "-c", conf)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	eventually(t, "mosquitto listens", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return path
}

// idBytes is an identifier as two bytes.
func idBytes(id uint16) []byte { return binary.BigEndian.AppendUint16(nil, id) }

// nothing expects that nothing is published to r.
func (r *raw) nothing(what string) {
	r.t.Helper()
	if r.settled() {
		r.t.Fatalf("%s: something was published", what)
	}
}

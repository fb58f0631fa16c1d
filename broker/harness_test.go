package broker

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/wire"
)

func TestMain(m *testing.M) {
	if os.Getenv(idleClients) != "" {
		if err := connectIdle(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// member is somebody who may connect: a process, and what its file declares.
type member struct {
	core.Principal
	pid                int
	publish, subscribe []string
}

// id is the member's regular client id.
func (m member) id() string {
	pid := "_" + strconv.Itoa(m.pid)
	switch {
	case m.Kind == core.JobRun:
		return m.Name + "_label" + pid
	case m.InUserSession:
		return m.Name + "_alice" + pid
	}
	return m.Name + pid
}

func plugin(name string, pid int, publish, subscribe []string) member {
	return member{core.Principal{Kind: core.Plugin, User: "0", Name: name}, pid, publish, subscribe}
}

// The cast. Everyone but the first two declares as much as a file can.
var (
	policy  = plugin("KeeperPolicy", 100, []string{"KeeperLogger"}, []string{"KeeperPolicy"})
	logger  = plugin("KeeperLogger", 101, nil, []string{"KeeperLogger"})
	bridge  = plugin("MyBridge", 102, []string{"KeeperLogger", "MyBridge/Responses/+", "KeeperPolicy", "EventMessages", "JobService"}, []string{"MyBridge", "MyBridge/Commands/+", "EventMessages", "JobService", "KeeperPolicy"})
	nosy    = plugin("Nosy", 103, []string{"#"}, []string{"#", "+", "Replies/#", "KeeperPolicy"})
	desktop = member{core.Principal{Kind: core.Plugin, User: "1000", Name: "KeeperClient", InUserSession: true}, 104, []string{"KeeperClient/Status", "KeeperPolicy", "EventMessages"}, []string{"KeeperClient", "EventMessages", "JobService"}}
	job     = member{core.Principal{Kind: core.JobRun, User: "0", Name: "some-job", Run: "R1"}, 105, []string{"KeeperLogger", "KeeperPolicy", "EventMessages", "Jobs/some-job/events"}, []string{"EventMessages", "JobService"}}
	script  = member{core.Principal{Kind: core.JobRun, User: "1000", Name: "desk-job", Run: "R2", InUserSession: true}, 106, []string{"EventMessages", "KeeperLogger"}, []string{"JobService"}}
	alice   = member{core.Principal{Kind: core.User, User: "1000"}, 107, nil, nil}
	root    = member{core.Principal{Kind: core.Admin, User: "0"}, 108, nil, nil}
	nobody  = member{core.Principal{}, 109, nil, nil}
	service = member{core.ServicePrincipal(), 1, nil, nil}
)

// world is everything that a broker asks.
type world struct {
	mu       sync.Mutex
	ended    map[core.Principal]bool
	states   map[core.RequestID]string
	token    string
	members  map[int]member
	prompted atomic.Int32
	shared   []core.ProcessID // at the other end of connections from now on, if there are several
}

func newWorld() *world {
	w := &world{ended: map[core.Principal]bool{}, states: map[core.RequestID]string{}, members: map[int]member{}}
	for _, m := range []member{policy, logger, bridge, nosy, desktop, job, script, alice, root, nobody, service} {
		w.members[m.pid] = m
	}
	return w
}

func (w *world) Identify(peer core.Peer) (core.Principal, core.ProcessID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[peer.Processes[0].PID]
	if w.ended[m.Principal] {
		return core.Principal{Kind: core.Admin, User: "0"}, core.ProcessID{}
	}
	return m.Principal, core.ProcessID{PID: m.pid + 1000, Start: 7}
}

func (w *world) Declared(p core.Principal) (publish, subscribe []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.Principal == p {
			return m.publish, m.subscribe
		}
	}
	return nil, nil
}

func (w *world) Token(core.Principal) string { return w.token }

func (w *world) State(id core.RequestID) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	state, ok := w.states[id]
	return state, ok
}

func (w *world) set(id core.RequestID, state string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.states[id] = state
}

func (w *world) end(p core.Principal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended[p] = true
}

// named is a connection of which the "kernel" knows who made it.
type named struct {
	net.Conn
	peer core.Peer
	err  error
}

// AcknowledgeNow implements prompter.
func (w *world) AcknowledgeNow(net.Conn) { w.prompted.Add(1) }

func (w *world) User(c net.Conn) (core.UserID, error) {
	peer, err := w.Peer(c)
	return peer.User, err
}

func (w *world) Peer(c net.Conn) (core.Peer, error) {
	n := c.(*named)
	w.mu.Lock()
	defer w.mu.Unlock()
	if peer := n.peer; w.shared != nil && peer.Processes[0] == w.shared[0] {
		peer.Processes = w.shared
		return peer, n.err
	}
	return n.peer, n.err
}

func peerOf(m member) core.Peer {
	return core.Peer{User: m.User, SameIdentity: true, Processes: []core.ProcessID{{PID: m.pid, Start: 7}}}
}

// lobby is a listener through which one member connects.
type lobby struct {
	net.Listener
	who  member
	fail func() error // of Accept
}

func (l *lobby) Accept() (net.Conn, error) {
	if l.fail != nil {
		if err := l.fail(); err != nil {
			return nil, err
		}
	}
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &named{c, peerOf(l.who), nil}, nil
}

// bus is a broker under test.
type bus struct {
	*Broker
	*world
	t   testing.TB
	dir string
	n   atomic.Int32
}

func newBus(t testing.TB, change ...func(*Config)) *bus {
	t.Helper()
	b := &bus{world: newWorld(), t: t, dir: t.TempDir()}
	cfg := Config{
		Peers: b.world, Registry: b.world, Topics: b.world, Requests: b.world,
		Self: core.ProcessID{PID: 1, Start: 7},
	}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if b.Broker, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// certificate gives b TLS; it is for newBus.
func certificate(t testing.TB, file *string) func(*Config) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	*file = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(*file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	return func(cfg *Config) {
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	}
}

// local opens a local socket through which who connects, and returns its path.
func (b *bus) local(who member) string {
	b.t.Helper()
	path := filepath.Join(b.dir, "s"+strconv.Itoa(int(b.n.Add(1))))
	ln, err := net.Listen("unix", path)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.ServeLocal(&lobby{Listener: ln, who: who}); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// overTLS opens a port through which who connects, and returns its address.
func (b *bus) overTLS(who member) string {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.ServeTLS(&lobby{Listener: ln, who: who}); err != nil {
		b.t.Fatal(err)
	}
	return ln.Addr().String()
}

func (b *bus) dial(who member) net.Conn {
	b.t.Helper()
	return dialPath(b.t, b.local(who))
}

func dialPath(t testing.TB, path string) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// pipes is a listener in memory, for tests in a bubble of fake time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// connect makes a connection of who, whom Peers names unless err.
func (p *pipes) connect(who member, err error) net.Conn {
	client, server := net.Pipe()
	p.conns <- &named{server, peerOf(who), err}
	return client
}

var errUnknownPeer = errors.New("no process holds this connection")

// message returns an encoded envelope.
func message(t testing.TB, messageType string, from core.Principal, payload any, change ...func(*wire.RequestMessage)) []byte {
	t.Helper()
	data, err := envelope(t, messageType, from, payload, change...).Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func envelope(t testing.TB, messageType string, from core.Principal, payload any, change ...func(*wire.RequestMessage)) wire.RequestMessage {
	t.Helper()
	m, err := wire.New(messageType, from.String(), payload)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&m)
	}
	return m
}

func replyTo(topic string) func(*wire.RequestMessage) {
	return func(m *wire.RequestMessage) { m.ReplyTopic = topic }
}

func answering(id string) func(*wire.RequestMessage) {
	return func(m *wire.RequestMessage) { m.CorrelationID = id }
}

// eventually waits until cond holds, which must not take longer than anything
// here may.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

// receive takes the next value, or fails.
func receive[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(20 * time.Second):
		t.Fatalf("never came: %s", what)
		panic("unreachable")
	}
}

// records is a log that tests can read.
type records struct {
	mu   sync.Mutex
	text []byte
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = append(r.text, p...)
	return len(p), nil
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.text)
}

func logTo(r *records) func(*Config) {
	return func(cfg *Config) { cfg.Log = slog.New(slog.NewTextHandler(r, nil)) }
}

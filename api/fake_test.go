package api_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/api"
	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/launcher"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/launcher/start"
	"kpm/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// self is this process, as the fakes see it.
var self = core.ProcessID{PID: 1, Start: 1}

// world fakes everything around the server: which peer the next connection
// has, which processes live, and what the other packages know. Who a peer is, the
// real registry says.
type world struct {
	registry *start.Registry

	mu      sync.Mutex
	peer    core.Peer
	peerErr error
	dead    map[core.ProcessID]bool

	lapses   []string
	problems []string
	plugins  []view.Plugin
	jobs     []view.Job
	settings map[string]map[string]string
	allow    []string // "METHOD path"
	runErr   error
	filters  []view.JobRunFilter
	queries  []journal.Query
	silent   chan view.JobRunEvent // if set, where events of runs come from
	moveErr  error
	runs     []string // "job: params"
	moves    []string // "launch id by run"
}

func (w *world) User(conn net.Conn) (core.UserID, error) {
	peer, err := w.Peer(conn)
	return peer.User, err
}

func (w *world) Peer(net.Conn) (core.Peer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.peer, w.peerErr
}

// connectAs makes b the peer of the connections that follow.
func (w *world) connectAs(b being) {
	for i, id := range b.peer.Processes {
		switch {
		case b.elevated:
			w.registry.RegisterElevated(id, "")
		case b.who.Kind == core.Plugin || b.who.Kind == core.JobRun:
			w.registry.Register(start.Entry{Root: b.peer.Processes[0], As: b.who, User: b.peer.User})
		default:
			w.registry.Remove(b.peer.Processes[i])
		}
		w.mark(id, b.dead)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.peer, w.peerErr = b.peer, b.peerErr
}

// mark says whether a process has ended.
func (w *world) mark(id core.ProcessID, dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead[id] = dead
}

// tree is the world as a port.ProcessTree. Process 10n and those up to 10n+9
// are one launch group.
type tree struct{ *world }

func (t tree) Self() core.ProcessID { return self }

func (t tree) Alive(id core.ProcessID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.dead[id]
}

func (t tree) Which(id core.ProcessID, groups []port.Group) int {
	return slices.IndexFunc(groups, func(g port.Group) bool { return g.Root.PID/10 == id.PID/10 })
}

func (t tree) Empty(core.ProcessID, string) bool { return false }
func (t tree) Occupied(groups []port.Group) ([]bool, error) {
	return slices.Repeat([]bool{true}, len(groups)), nil
}

func (t tree) KillGroups(...port.Group) (int, error) { return 0, nil }

// Obstacles implements api.Health.
func (w *world) Obstacles() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problems
}

// Lapses implements api.Health.
func (w *world) Lapses() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lapses
}

type jobsOf struct{ *world }

func (w *world) move(text string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moveErr == nil {
		w.moves = append(w.moves, text)
	}
	return w.moveErr
}

func (w *world) Launch(_ context.Context, from core.Principal, id core.RequestID) error {
	return w.move(fmt.Sprintf("launch %s by %s", id, from.Run))
}

func (w *world) LaunchInSession(_ context.Context, from core.Principal, id core.RequestID, as core.RunAs) error {
	return w.move(fmt.Sprintf("launch %s by %s as %s", id, from.Run, as))
}

func (w *world) Substitute(_ context.Context, from core.Principal, id core.RequestID) error {
	return w.move(fmt.Sprintf("substitute %s by %s", id, from.Run))
}

func (w *world) Refuse(from core.Principal, id core.RequestID, message string) error {
	return w.move(fmt.Sprintf("refuse %s by %s: %s", id, from.Run, message))
}

// elevator is a function as an api.Elevator.
type elevator func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result

func (e elevator) Elevate(ctx context.Context, k launcher.Submission, c launcher.Caller, signals <-chan signal.Sent) launcher.Result {
	return e(ctx, k, c, signals)
}

var errMoves = map[string]error{
	"unknown":  request.ErrUnknown,
	"conflict": request.ErrConflict,
	"denied":   request.ErrNotPermitted,
	"broken":   errors.New("disk on fire"),
}

// place is a server with all its listeners.
type place struct {
	*world
	server           *api.Server
	plain, tls, sock string // addresses
	ca               []byte
	https            *tls.Config // for clients
}

func newWorld() *world {
	started := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w := &world{
		dead: map[core.ProcessID]bool{},
		plugins: []view.Plugin{
			{ID: "Broken", Name: "Broken", Status: "Failed", Detail: "no such file"},
			{ID: "KeeperPolicy", Name: "Keeper Policy", Status: "Healthy", ProcessID: 77, LastStartTime: started},
		},
		jobs: []view.Job{
			{ID: "LaunchPrivilegeElevation", Name: "Launch", Enabled: true, OwnEventsOnly: true, AllowPluginTrigger: true},
			{ID: "inventory", Name: "Inventory", Enabled: true},
			{ID: "open-to-plugins", Name: "Open", Enabled: true, AllowPluginTrigger: true},
			{ID: "broken", Name: "Broken", Detail: "unknown field"},
		},
		settings: map[string]map[string]string{
			"KeeperPrivilegeManager": {"broker.host": "127.0.0.1", "broker.port": "8675"},
			"KeeperPolicy":           {"policy.enforceForAdministrators": "false"},
			"Chat":                   {"colour": "blue", "token": "s3cret"},
			"Empty":                  nil,
		},
	}
	w.registry = start.NewRegistry(tree{w}, self)
	return w
}

func (w *world) config(t testing.TB, secure *tls.Config) api.Config {
	t.Helper()
	return api.Config{
		Version: "1.2.3", TLS: secure,
		Peers: w, Identify: w.registry, Self: self, Health: w, Plugins: pluginsOf{w}, PluginControl: pluginsOf{w}, Jobs: jobsOf{w}, Settings: settingsOf{w}, Application: applicationOf{w}, Doctor: doctorOf{w}, LastKnownGood: goodOf{w}, Observed: observedOf{w}, Factors: factorsOf{w}, Approvals: approvalsOf{w}, ApprovalKeys: keysOf{w}, Notices: noticesOf{w}, Prompts: promptsOf{w}, Requests: w, Grants: grantsOf{w}, FileGrants: fileGrantsOf{w}, Rights: rightsOf{w}, Accounts: accountsOf{w},
		Elevator: elevator(func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
			return launcher.Result{}
		}),
		Limits: api.Limits{RequestsPerSecond: 1e9, Burst: 1e9}, // tests ask fast
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// newCertificate returns what listeners show and what their clients trust.
func newCertificate(t testing.TB) (secure *tls.Config, ca []byte) {
	t.Helper()
	certificate := trust.NewServerCertificate(trust.ServerConfig{
		Source:  trust.Loopback(),
		Publish: func(anchors []byte) error { ca = anchors; return nil },
		Log:     slog.New(slog.DiscardHandler),
	})
	if err := certificate.Renew(); err != nil {
		t.Fatal(err)
	}
	return certificate.TLS(), ca
}

func newPlace(t testing.TB, change ...func(*api.Config)) *place {
	t.Helper()
	return newPlaceOf(t, api.New, change...)
}

// newPlaceOf has a server that create makes.
func newPlaceOf(t testing.TB, create func(api.Config) (*api.Server, error), change ...func(*api.Config)) *place {
	t.Helper()
	w := newWorld()
	w.connectAs(root)
	secure, ca := newCertificate(t)
	cfg := w.config(t, secure)
	for _, f := range change {
		f(&cfg)
	}
	server, err := create(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{world: w, server: server, ca: ca}
	t.Cleanup(p.close)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(p.ca)
	p.https = &tls.Config{RootCAs: pool}
	p.plain = p.listen(t, "tcp", "127.0.0.1:0", server.ServePlain)
	p.tls = p.listen(t, "tcp", "127.0.0.1:0", server.ServeTLS)
	p.sock = p.listen(t, "unix", filepath.Join(t.TempDir(), "api.sock"), server.ServeLocal)
	return p
}

func (p *place) listen(t testing.TB, network, address string, serve func(net.Listener) error) string {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if err := serve(ln); err != nil {
		t.Fatal(err)
	}
	return ln.Addr().String()
}

// close cuts what remains at once: clients of tests do not linger.
func (p *place) close() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p.server.Close(ctx)
}

// transport returns a client of one connection per request; every connection
// goes through dial.
func transport(dial func() (net.Conn, error), secure *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return dial() },
		TLSClientConfig:   secure,
		DisableKeepAlives: true,
	}
}

// The ways in.
func (p *place) overTLS() *http.Transport {
	return transport(func() (net.Conn, error) { return net.Dial("tcp", p.tls) }, p.https)
}

func (p *place) overPlain() *http.Transport {
	return transport(func() (net.Conn, error) { return net.Dial("tcp", p.plain) }, nil)
}

func (p *place) overSocket() *http.Transport {
	return transport(func() (net.Conn, error) { return net.Dial("unix", p.sock) }, nil)
}

func (p *place) overBound(run core.Principal) *http.Transport {
	way := &http.Transport{}
	way.RegisterProtocol("http", p.server.RoundTripper(run))
	return way
}

// reply is a response that has been read.
type reply struct {
	request *http.Request
	status  int
	header  http.Header
	body    string
	closed  bool // the server hangs up
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func newRequest(t testing.TB, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func send(t testing.TB, through http.RoundTripper, r *http.Request) reply {
	t.Helper()
	response, err := through.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return reply{r, response.StatusCode, response.Header, string(body), response.Close}
}

// being is a caller: what the kernel says of it, and who that is.
type being struct {
	name    string
	peer    core.Peer
	peerErr error
	who     core.Principal
	// elevated, dead: inside an elevation that we launched; ended.
	elevated, dead bool
	// nobody must be taken for Public.
	nobody bool
	// bound callers come through RoundTripper.
	bound bool
}

func process(pid int) []core.ProcessID { return []core.ProcessID{{PID: pid, Start: 9}} }

func servicePeer(pid int) core.Peer {
	return core.Peer{User: "0", Administrator: true, Processes: process(pid), SameIdentity: true}
}

func userPeer(pid int) core.Peer {
	return core.Peer{User: "1000", Processes: process(pid), SameIdentity: true}
}

// request of the job run that some callers belong to.
const request1 = core.RequestID("AAAAAAAAAAAAAAAAAAAAAAAAAA")

var (
	root = being{name: "root", peer: servicePeer(100), who: core.Principal{Kind: core.Admin, User: "0"}}
	user = being{name: "user", peer: userPeer(110), who: core.Principal{Kind: core.User, User: "1000"}}
	run1 = core.Principal{Kind: core.JobRun, User: "0", Name: "LaunchPrivilegeElevation", Run: "r1", Request: request1}
)

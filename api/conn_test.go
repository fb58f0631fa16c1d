package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/fair"
)

// get sends one GET on a connection that stays open.
func get(t testing.TB, conn net.Conn, path string) int {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}

func dial(t testing.TB, network, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// A connection outlives the process that made it if something else holds the
// socket: its authority does not.
func TestAuthorityEndsWithTheProcess(t *testing.T) {
	p := newPlace(t)
	chat := being{peer: userPeer(300), who: core.Principal{Kind: core.Plugin, Name: "Chat", InUserSession: true}}
	policy := being{peer: servicePeer(310), who: core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}}
	chat.peer.Processes = append(process(300), process(301)...)
	for _, c := range []struct {
		what   string
		plugin being
		end    func()
	}{
		{"the registry knows it no more", chat, func() { p.registry.Remove(core.ProcessID{PID: 300, Start: 9}) }},
		{"it has ended", chat, func() { p.mark(core.ProcessID{PID: 300, Start: 9}, true) }},
		{"one of two holders has ended", chat, func() { p.mark(core.ProcessID{PID: 301, Start: 9}, true) }},
		{"it is part of an elevation", policy, func() { p.registry.RegisterElevated(core.ProcessID{PID: 310, Start: 9}, "") }},
	} {
		p.connectAs(c.plugin)
		conn := dial(t, "unix", p.sock)
		if got := get(t, conn, "/api/PluginSettings/Chat"); got != 200 {
			t.Errorf("before %s: %d, want 200", c.what, got)
		}
		c.end()
		if got := get(t, conn, "/api/PluginSettings/Chat"); got != 403 {
			t.Errorf("after %s: %d, want 403", c.what, got)
		}
	}
}

// Whoever is nobody on this connection may be somebody on its next.
func TestConnectionsOfNobodyAreNotKept(t *testing.T) {
	p := newPlace(t)
	for _, b := range beings() {
		if b.bound || b.peer.Processes != nil && b.peer.Processes[0] == self {
			continue
		}
		p.connectAs(b)
		way := p.overSocket()
		way.DisableKeepAlives = false
		r := send(t, way, newRequest(t, "GET", "http://keeper/health", ""))
		if got := r.closed; got != b.nobody {
			t.Errorf("%s: hung up %v, want %v", b.name, got, b.nobody)
		}
		way.CloseIdleConnections()
	}
}

// Whoever holds the socket later cannot raise what the kernel said at accept:
// connect, then have a privileged program inherit the socket.
func TestTheIdentityIsFromAcceptTime(t *testing.T) {
	p := newPlace(t)
	p.connectAs(user)
	conn := dial(t, "unix", p.sock)
	if got := get(t, conn, "/api/plugins"); got != 403 {
		t.Fatalf("user: %d, want 403", got)
	}
	p.connectAs(root)
	if got := get(t, conn, "/api/plugins"); got != 403 {
		t.Errorf("the same connection: %d, want 403", got)
	}
	if got := get(t, dial(t, "unix", p.sock), "/api/plugins"); got != 200 {
		t.Errorf("a connection of root: %d, want 200", got)
	}
}

// refused reports whether the server has hung up, if it could with the reason.
func refused(conn net.Conn) bool {
	if _, err := io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		return true
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return true
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusTooManyRequests && answer.Close
}

func TestOneUserCannotTakeAllConnections(t *testing.T) {
	p := newPlace(t, func(c *api.Config) {
		c.Limits.Connections, c.Limits.ConnectionsPerUser = 6, 3
		c.People = fair.People{Foremost: func(who core.UserID) bool { return who == "0" }}
	})
	other := being{peer: core.Peer{User: "1001", Processes: process(40), SameIdentity: true}, who: core.Principal{Kind: core.User, User: "1001"}}
	held := func(b being) net.Conn {
		t.Helper()
		p.connectAs(b)
		conn := dial(t, "unix", p.sock)
		if got := get(t, conn, "/health"); got != 200 {
			t.Fatalf("user %s: %d, want 200", b.peer.User, got)
		}
		return conn
	}
	first := held(user)
	held(user)
	held(user)
	if conn := dial(t, "unix", p.sock); !refused(conn) {
		t.Error("a user has a fourth connection, the limit is 3")
	}
	held(other)
	// A place is given back when its connection ends.
	first.Close()
	eventually(t, func() bool {
		p.connectAs(user)
		conn, err := net.Dial("unix", p.sock)
		if err != nil {
			t.Fatal(err)
		}
		if refused(conn) {
			conn.Close()
			return false
		}
		t.Cleanup(func() { conn.Close() })
		return true
	})
	// Administrators are counted in all only. When all are taken, whoever has
	// most loses the oldest.
	for range 2 {
		held(root)
	}
	held(root)
	held(being{peer: core.Peer{User: "1002", Processes: process(50), SameIdentity: true}, who: core.Principal{Kind: core.User, User: "1002"}})
	p.connectAs(being{peer: core.Peer{User: "1002", Processes: process(50), SameIdentity: true}, who: core.Principal{Kind: core.User, User: "1002"}})
	if conn := dial(t, "unix", p.sock); !refused(conn) {
		t.Error("there is a seventh connection, the limit is 6, of somebody who has as many as anybody")
	}
}

// eventually waits for what another goroutine is about to do.
func eventually(t testing.TB, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happened")
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	p := newPlace(t, func(c *api.Config) {
		c.Limits.RequestsPerSecond, c.Limits.Burst = 0.001, 2
		c.People = fair.People{Foremost: func(who core.UserID) bool { return who == "0" }}
	})
	c := newContract(t, string(readFile(t, "openapi.json")))
	for _, step := range []struct {
		who  being
		want int
	}{
		{user, 200}, {user, 200}, {user, 429},
		{root, 200}, {root, 200}, {root, 200},
		{being{peer: core.Peer{User: "1001", Processes: process(41), SameIdentity: true}, who: core.Principal{Kind: core.User, User: "1001"}}, 200},
	} {
		p.connectAs(step.who)
		r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/health", ""))
		if r.status != step.want || (r.status == 429) != (r.header.Get("Retry-After") == "1000") {
			t.Errorf("user %s: %d %s %s, want %d", step.who.peer.User, r.status, r.header.Get("Retry-After"), r.body, step.want)
		}
		if err := c.check(r); err != nil {
			t.Error(err)
		}
	}
	// A job's own Http task never waits for what others do.
	for range 5 {
		if r := send(t, p.overBound(run1), newRequest(t, "GET", "http://keeper/health", "")); r.status != 200 {
			t.Errorf("bound: %d, want 200", r.status)
		}
	}
}

// flaky is a listener that first reports what a full system reports.
type flaky struct {
	net.Listener
	mu       sync.Mutex
	failures int
}

func (f *flaky) Accept() (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failures > 0 {
		f.failures--
		return nil, errors.New("too many open files")
	}
	return f.Listener.Accept()
}

func TestAcceptErrorsAreSurvived(t *testing.T) {
	p := newPlace(t)
	path := filepath.Join(t.TempDir(), "flaky.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.server.ServeLocal(&flaky{Listener: ln, failures: 3}); err != nil {
		t.Fatal(err)
	}
	if got := get(t, dial(t, "unix", path), "/health"); got != 200 {
		t.Errorf("after the errors: %d, want 200", got)
	}
}

func TestCloseLetsRequestsFinish(t *testing.T) {
	started, finish := make(chan bool), make(chan bool)
	slow := slowRequests{started, finish}
	p := newPlace(t, func(c *api.Config) { c.Requests = slow })
	answered := make(chan reply)
	go func() {
		answered <- send(t, p.overBound(run1), newRequest(t, "POST", "http://keeper/api/launch", fmt.Sprintf(`{"RequestId":%q}`, request1)))
	}()
	<-started
	ended := make(chan error)
	go func() { ended <- p.server.Close(context.Background()) }()
	eventually(t, func() bool { // it has stopped listening
		conn, err := net.Dial("unix", p.sock)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	close(finish)
	if r := <-answered; r.status != 200 {
		t.Errorf("the request in flight: %d %s", r.status, r.body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := p.server.Close(context.Background()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

type slowRequests struct{ started, finish chan bool }

func (s slowRequests) Launch(ctx context.Context, _ core.Principal, _ core.RequestID) error {
	s.started <- true
	<-s.finish
	return ctx.Err()
}

func (s slowRequests) LaunchInSession(context.Context, core.Principal, core.RequestID, core.RunAs) error {
	return nil
}

func (s slowRequests) Substitute(context.Context, core.Principal, core.RequestID) error { return nil }

func (s slowRequests) Refuse(core.Principal, core.RequestID, string) error { return nil }

// The stock client, as administrators and scripts use it.
func TestCurl(t *testing.T) {
	p := newPlace(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, p.ca, 0o644); err != nil {
		t.Fatal(err)
	}
	port := portOf(t, p.tls)
	for _, c := range []struct{ name, args, want string }{
		{"local socket", "--unix-socket " + p.sock + " http://localhost/health", `"status":"healthy"`},
		{"local socket, our name", "--unix-socket " + p.sock + " http://keeper/api/plugins", `"id":"KeeperPolicy"`},
		{"verified by name", "--cacert " + ca + " https://localhost:" + port + "/api/Jobs", `"id":"inventory"`},
		{"verified by address", "--cacert " + ca + " https://127.0.0.1:" + port + "/health", `"status":"healthy"`},
		{"not verified", "-k https://127.0.0.1:" + port + "/health", `"status":"healthy"`},
		{"redirected", "-L --cacert " + ca + " http://127.0.0.1:" + portOf(t, p.plain) + "/api/Jobs", `"id":"inventory"`},
		{"run", "-X POST --cacert " + ca + " https://localhost:" + port + "/api/Jobs/inventory/run", `"runId":"run-1"`},
		{"a form", `-X POST -d a=1 --cacert ` + ca + " https://localhost:" + port + "/api/Jobs/inventory/trigger", `"code":"unsupported-media-type"`},
		{"trigger", `-d {"a":1} -H Content-Type:application/json --cacert ` + ca + " https://localhost:" + port + "/api/Jobs/inventory/trigger", `"runId":"run-1"`},
	} {
		out, err := exec.Command("curl", append([]string{"-sS", "--fail-with-body", "--noproxy", "*"}, strings.Fields(c.args)...)...).CombinedOutput()
		if (err != nil) != (c.name == "a form") || !strings.Contains(string(out), c.want) {
			t.Errorf("%s: %v\n%s\nwant %s", c.name, err, out, c.want)
		}
	}
	out, err := exec.Command("curl", "-sS", "--noproxy", "*", "https://127.0.0.1:"+port+"/health").CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 60 {
		t.Errorf("curl without the CA: %v, want exit 60 (not verified)\n%s", err, out)
	}
}

func BenchmarkHealthOverSocket(b *testing.B) {
	p := newPlace(b)
	conn := dial(b, "unix", p.sock)
	for b.Loop() {
		if got := get(b, conn, "/health"); got != 200 {
			b.Fatal(got)
		}
	}
}

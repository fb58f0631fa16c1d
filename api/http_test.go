package api_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"kpm/core"
)

func TestPublicPages(t *testing.T) {
	p := newPlace(t)
	p.connectAs(user)
	for base, way := range map[string]http.RoundTripper{
		"http://" + p.plain: p.overPlain(), "https://" + p.tls: p.overTLS(), "http://localhost": p.overSocket(),
	} {
		health := send(t, way, newRequest(t, "GET", base+"/health", ""))
		var body map[string]string
		if err := json.Unmarshal([]byte(health.body), &body); err != nil {
			t.Fatalf("%s/health: %v", base, err)
		}
		if len(body) != 3 || body["status"] != "healthy" || body["version"] != "1.2.3" || !strings.HasSuffix(body["timestamp"], "Z") {
			t.Errorf("%s/health: %s", base, health.body)
		}
		root := send(t, way, newRequest(t, "GET", base+"/", ""))
		if want := `{"service":"KeeperPrivilegeManager","status":"running","version":"1.2.3"}`; root.body != want {
			t.Errorf("%s/: %s\nwant %s", base, root.body, want)
		}
		status := send(t, way, newRequest(t, "GET", base+"/api/system/status", ""))
		if want := `{"status":"running","healthy":true,"plugins":2,"jobs":{"total":4,"enabled":3}}`; status.body != want {
			t.Errorf("%s/api/system/status: %s\nwant %s", base, status.body, want)
		}
		head := send(t, way, newRequest(t, "HEAD", base+"/health", ""))
		if head.status != 200 || head.body != "" {
			t.Errorf("HEAD %s/health: %d %q", base, head.status, head.body)
		}
	}
}

// What is in the way of elevations makes /health answer 503, which is what
// whoever watches machines looks at; why is not for everyone.
func TestHealthIsTheTruth(t *testing.T) {
	p := newPlace(t)
	p.world.problems = []string{"no KeeperPolicy", "no room"}
	contract := newContract(t, string(readFile(t, "openapi.json")))
	for base, way := range map[string]http.RoundTripper{
		"http://" + p.plain: p.overPlain(), "https://" + p.tls: p.overTLS(), "http://localhost": p.overSocket(),
	} {
		health := send(t, way, newRequest(t, "GET", base+"/health", ""))
		if health.status != 503 || !strings.HasPrefix(health.body, `{"status":"unhealthy","timestamp":"`) || strings.Contains(health.body, "room") {
			t.Errorf("%s/health: %d %s", base, health.status, health.body)
		}
		if err := contract.check(health); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		who  being
		want string
	}{
		{user, `{"status":"running","healthy":false,"plugins"`},
		{root, `{"status":"running","healthy":false,"problems":["no KeeperPolicy","no room"],"plugins"`},
	} {
		p.connectAs(c.who)
		if got := send(t, p.overSocket(), newRequest(t, "GET", "http://localhost/api/system/status", "")); got.status != 200 || !strings.HasPrefix(got.body, c.want) {
			t.Errorf("%s: %d %s, want %s", c.who.name, got.status, got.body, c.want)
		}
	}
}

// Policies that are not kept are no better, and as little for everyone to know.
func TestHealthSaysThatPoliciesAreNotKept(t *testing.T) {
	p := newPlace(t)
	p.world.lapses = []string{"keeperexec has ended"}
	contract := newContract(t, string(readFile(t, "openapi.json")))
	for _, c := range []struct {
		who  being
		path string
		code int
		want string
	}{
		{user, "/health", 503, `{"status":"unhealthy",`},
		{user, "/api/system/status", 200, `{"status":"running","healthy":false,"plugins":2,"jobs":{"total":4,"enabled":3},"policiesNotKept":true}`},
		{root, "/api/system/status", 200, `{"status":"running","healthy":false,"plugins":2,"jobs":{"total":4,"enabled":3},"policiesNotKept":true,"lapses":["keeperexec has ended"]}`},
	} {
		p.connectAs(c.who)
		got := send(t, p.overSocket(), newRequest(t, "GET", "http://localhost"+c.path, ""))
		if got.status != c.code || !strings.HasPrefix(got.body, c.want) {
			t.Errorf("%s: %d %s, want %s", c.who.name, got.status, got.body, c.want)
		}
		if err := contract.check(got); err != nil {
			t.Error(err)
		}
	}
}

func TestAnswers(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ path, want string }{
		{"/api/plugins", `[{"id":"Broken","name":"Broken","status":"Failed","processId":0,"detail":"no such file"},` +
			`{"id":"KeeperPolicy","name":"Keeper Policy","status":"Healthy","processId":77,"lastStartTime":"2026-01-02T03:04:05Z"}]`},
		{"/api/Jobs", `[{"id":"LaunchPrivilegeElevation","name":"Launch","enabled":true,"allowPluginTrigger":true,"ownEventsOnly":true},` +
			`{"id":"inventory","name":"Inventory","enabled":true,"allowPluginTrigger":false,"ownEventsOnly":false},` +
			`{"id":"open-to-plugins","name":"Open","enabled":true,"allowPluginTrigger":true,"ownEventsOnly":false},` +
			`{"id":"broken","name":"Broken","enabled":false,"allowPluginTrigger":false,"ownEventsOnly":false,"detail":"unknown field"}]`},
		{"/api/PluginSettings/KeeperPrivilegeManager", `{"broker.host":"127.0.0.1","broker.port":"8675"}`},
		{"/api/PluginSettings/Empty", `{}`},
		{"/api/PluginSettings/Chat/colour", `"blue"`},
		{"/api/PluginSettings/Chat/COLOUR", `"blue"`},
		// Clients of the published API spell paths both ways.
		{"/api/jobs", "*"}, {"/API/PLUGINS", "*"}, {"/api/pluginsettings/Chat", `{"colour":"blue","token":"s3cret"}`},
		{"/api/PluginSettings/Chat?explain=true", `{"colour":{"value":"blue","source":"file","file":"Chat.json"},"token":{"value":"s3cret","source":"file","file":"Chat.json","secret":true}}`},
	} {
		r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper"+c.path, ""))
		if r.status != 200 || c.want != "*" && r.body != c.want {
			t.Errorf("%s: %d %s\nwant %s", c.path, r.status, r.body, c.want)
		}
		if got := r.header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type %s", c.path, got)
		}
	}
	p.plugins, p.jobs = nil, nil
	for _, path := range []string{"/api/plugins", "/api/Jobs"} {
		if r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper"+path, "")); r.body != "[]" {
			t.Errorf("%s when there is none: %s, want []", path, r.body)
		}
	}
}

func TestRunsGetTheirParameters(t *testing.T) {
	p := newPlace(t)
	for _, c := range []struct{ path, body, want string }{
		{"/api/Jobs/inventory/run", "", "inventory: map[]"},
		{"/api/Jobs/inventory/trigger", `{"a":{"b":[1,"2"]}}`, "inventory: map[a:map[b:[1 2]]]"},
	} {
		p.runs = nil
		r := send(t, p.overTLS(), newRequest(t, "POST", "https://"+p.tls+c.path, c.body))
		if r.status != 202 || r.body != `{"runId":"run-1"}` || len(p.runs) != 1 || p.runs[0] != c.want {
			t.Errorf("%s: %d %s, ran %q, want %q", c.path, r.status, r.body, p.runs, c.want)
		}
	}
}

func TestLaunchAndRefuse(t *testing.T) {
	p := newPlace(t)
	way := p.overBound(run1)
	body := fmt.Sprintf(`{"requestid":%q,"message":"no\u001b[2Jthanks","more":1}`, request1)
	for path, want := range map[string]string{
		"/api/launch":            fmt.Sprintf("launch %s by r1", request1),
		"/api/launch-substitute": fmt.Sprintf("substitute %s by r1", request1),
		"/api/usersession":       fmt.Sprintf("launch %s by r1 as User", request1),
		"/api/refuse":            fmt.Sprintf("refuse %s by r1: no\uFFFD[2Jthanks", request1),
	} {
		p.moves = nil
		r := send(t, way, newRequest(t, "POST", "http://keeper"+path, body))
		if want := fmt.Sprintf(`{"RequestId":%q}`, request1); r.status != 200 || r.body != want {
			t.Errorf("%s: %d %s, want %s", path, r.status, r.body, want)
		}
		if len(p.moves) != 1 || p.moves[0] != want {
			t.Errorf("%s: moved %q, want %q", path, p.moves, want)
		}
	}
}

// fault is a request that cannot succeed, and what it is answered.
type fault struct {
	method, path, body string
	cause              func(*world)
	status             int
	content            string
}

func runFails(err error) func(*world)  { return func(w *world) { w.runErr = err } }
func moveFails(err error) func(*world) { return func(w *world) { w.moveErr = err } }

// faults are all that a body, a name or another package can cause.
func faults() []fault {
	launch := fmt.Sprintf(`{"RequestId":%q}`, request1)
	long := strings.Repeat(" ", 1<<20)
	return []fault{
		{"GET", "/nowhere", "", nil, 404, `"code":"not-found"`},
		{"GET", "/api/Jobs/", "", nil, 404, `"code":"not-found"`},
		{"GET", "//health", "", nil, 404, `"code":"not-found"`},
		{"GET", "/api/../health", "", nil, 404, `"code":"not-found"`},
		{"GET", "/api%2Fplugins", "", nil, 404, `"code":"not-found"`},
		{"GET", "/api/PluginSettings/Chat%2Fcolour", "", nil, 404, `"code":"unknown-plugin"`},
		{"GET", "/api/PluginSettings/nobody", "", nil, 404, `"code":"unknown-plugin"`},
		{"GET", "/api/PluginSettings/nobody/colour", "", nil, 404, `"code":"unknown-plugin"`},
		{"GET", "/api/PluginSettings/Chat/smell", "", nil, 404, `"code":"unknown-setting"`},
		{"POST", "/api/Jobs/nothing/run", "", nil, 404, `"code":"unknown-job"`},
		{"POST", "/health", "", nil, 405, `"detail":"this path takes GET, HEAD"`},
		{"DELETE", "/api/Jobs/inventory/run", "", nil, 405, `"detail":"this path takes POST"`},
		{"BREW", "/api/Jobs", "", nil, 405, `"code":"method-not-allowed"`},
		{"OPTIONS", "/api/Jobs", "", nil, 405, `"code":"method-not-allowed"`},
		{"POST", "/api/Jobs/inventory/trigger", `[1]`, nil, 400, `"errors":[{"pointer":"","detail":"found array, expected an object"}]`},
		{"POST", "/api/Jobs/inventory/trigger", `{"a":`, nil, 400, `"errors":[{"pointer":"","detail":"not JSON: unexpected end of JSON input"}]`},
		{"POST", "/api/Jobs/inventory/trigger", "{\"a\": 1,\n}", nil, 400, `looking for beginning of object key string (line 2, column 1); remove the comma before the \"}\", in line 1"`},
		{"POST", "/api/Jobs/inventory/trigger", `{} {}`, nil, 400, `"code":"bad-request"`},
		{"POST", "/api/Jobs/inventory/trigger", `{"a":[{"b/c":1,"B/C":2}]}`, nil, 400, `"errors":[{"pointer":"/a/0/B~1C","detail":"given twice, expected each name once, whatever its letter case"}]`},
		{"POST", "/api/Jobs/inventory/trigger", `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, nil, 400, `"detail":"nested too deeply, expected at most 32 levels"`},
		{"POST", "/api/Jobs/inventory/trigger", "{\"a\":\"\xff\"}", nil, 400, `"errors":[{"pointer":"","detail":"the text is not UTF-8, expected JSON in UTF-8"}]`},
		{"POST", "/api/Jobs/inventory/trigger", strings.Repeat(`{"a":`, 20000), nil, 400, `"code":"bad-request"`},
		{"POST", "/api/Jobs/inventory/trigger", `{` + long + `}`, nil, 413, `"code":"too-large"`},
		{"POST", "/api/Jobs/inventory/run", "", runFails(core.NewError(core.NotFound, "no such job")), 404, `"code":"unknown-job"`},
		{"POST", "/api/Jobs/inventory/run", "", runFails(fmt.Errorf("job inventory: %w", core.NewError(core.Conflict, "it is disabled"))), 409, `"detail":"job inventory: it is disabled"`},
		{"POST", "/api/Jobs/inventory/run", "", runFails(fmt.Errorf("job inventory: %w", core.NewError(core.Invalid, "path is required"))), 400, `"detail":"job inventory: path is required"`},
		{"POST", "/api/Jobs/inventory/run", "", runFails(errMoves["broken"]), 500, `"code":"internal"`},
		{"POST", "/api/launch", "", nil, 400, `"errors":[{"pointer":"","detail":"not JSON: unexpected end of JSON input"}]`},
		{"POST", "/api/launch", `{}`, nil, 400, `"errors":[{"pointer":"/RequestId","detail":"found nothing, expected the id of a request"}]`},
		{"POST", "/api/launch", `{"RequestId":"A","requestid":"B"}`, nil, 400, `"pointer":"/requestid"`},
		{"POST", "/api/launch", `{"RequestId":7}`, nil, 400, `"errors":[{"pointer":"/RequestId","detail":"found number, expected a string"}]`},
		{"POST", "/api/launch", launch, moveFails(errMoves["unknown"]), 404, `"code":"unknown-request"`},
		{"POST", "/api/launch", launch, moveFails(errMoves["conflict"]), 409, `"code":"conflict"`},
		{"POST", "/api/launch", launch, moveFails(errMoves["denied"]), 403, `"code":"not-permitted"`},
		{"POST", "/api/usersession", `{}`, nil, 400, `"pointer":"/RequestId"`},
		{"POST", "/api/usersession", fmt.Sprintf(`{"RequestId":%q,"ExecutionType":"UserElevated"}`, request1), nil, 400, `"pointer":"/ExecutionType"`},
		{"POST", "/api/usersession", fmt.Sprintf(`{"RequestId":%q,"ExecutionType":"UserDesktop"}`, request1), moveFails(errMoves["conflict"]), 409, `"code":"conflict"`},
		{"POST", "/api/launch-substitute", `{}`, nil, 400, `"pointer":"/RequestId"`},
		{"POST", "/api/launch-substitute", launch, moveFails(errMoves["conflict"]), 409, `"code":"conflict"`},
		{"POST", "/api/launch", launch, moveFails(errMoves["broken"]), 500, `AAAAAA: disk on fire","code":"internal"`},
		{"POST", "/api/plugins/nobody/approve", "", nil, 404, `"code":"unknown-plugin"`},
		{"POST", "/api/plugins/nobody/start", "", nil, 404, `"code":"unknown-plugin"`},
		{"GET", "/api/plugins/nobody/health", "", nil, 404, `"code":"unknown-plugin"`},
		{"POST", "/api/plugins/Broken/start", "", nil, 409, `"detail":"the plugin cannot run: no such file"`},
		{"POST", "/api/plugins/KeeperPolicy/stop", "", moveFails(errMoves["broken"]), 500, `"code":"internal"`},
		{"GET", "/schemas/nothing", "", nil, 404, `"code":"not-found"`},
		{"PUT", "/api/PluginSettings/nobody/x", `1`, nil, 404, `"code":"unknown-plugin"`},
		{"PUT", "/api/PluginSettings/Chat/id", `"x"`, nil, 409, `"detail":"id is what the file says"`},
		{"PUT", "/api/PluginSettings/Chat/x", `{"a":1}`, nil, 400, `"errors":[{"pointer":"","detail":"found an object, expected a string, a number, true or false"}]`},
		{"PUT", "/api/PluginSettings/Chat/x", `null`, nil, 400, `found null`},
		{"PUT", "/api/PluginSettings/Chat/x", "", nil, 400, `"code":"bad-request"`},
		{"POST", "/api/PluginSettings/nobody/revert", "", nil, 404, `"code":"unknown-plugin"`},
		{"POST", "/api/Mfa/nobody", "", nil, 404, `"code":"unknown-user"`},
		{"DELETE", "/api/Mfa/nobody", "", nil, 404, `"code":"unknown-user"`},
		{"POST", "/api/Mfa/nobody/ticket", "", nil, 404, `"code":"unknown-user"`},
		{"POST", "/api/Mfa/anna", "", nil, 409, `"code":"conflict"`},
		{"POST", "/api/Mfa/anna", `{"replace":"yes"}`, nil, 400, `"pointer":"/replace"`},
		{"PUT", "/api/Settings", `{"Settings":{"KestrelHttpPort":"wrong"}}`, nil, 400,
			`"errors":[{"pointer":"/Settings/KestrelHttpPort","detail":"wrong, expected 0, 1024-65535"},{"pointer":"/Requests/MaxOpen","detail":"0, expected 1-4096"}]`},
		{"PUT", "/api/Settings", `{"a":1,"A":2}`, nil, 400, `"pointer":"/A","detail":"given twice`},
		{"POST", "/api/refuse", `{"RequestId":7,"Message":[]}`, nil, 400, `"errors":[{"pointer":"/RequestId","detail":"found number, expected a string"},{"pointer":"/Message","detail":"found array, expected a string"}]`},
		{"POST", "/api/refuse", launch, moveFails(errMoves["conflict"]), 409, `"code":"conflict"`},
		{"POST", "/api/refuse", fmt.Sprintf(`{"RequestId":%q,"Message":%q}`, request1, strings.Repeat("x", 5000)), nil, 400, `"pointer":"/Message"`},
	}
}

// everyProblem provokes every fault.
func everyProblem(t *testing.T, visit func(reply)) {
	t.Helper()
	p := newPlace(t)
	for _, c := range faults() {
		p.runErr, p.moveErr = nil, nil
		if c.cause != nil {
			c.cause(p.world)
		}
		way := p.overSocket()
		if strings.HasPrefix(c.path, "/api/launch") || c.path == "/api/refuse" || c.path == "/api/usersession" {
			way = p.overBound(run1)
		}
		visit(send(t, way, newRequest(t, c.method, "http://keeper"+c.path, c.body)))
	}
}

func TestProblems(t *testing.T) {
	next := faults()
	everyProblem(t, func(r reply) {
		c := next[0]
		next = next[1:]
		if r.status != c.status || !strings.Contains(r.body, c.content) {
			t.Errorf("%s %s %.40s: %d %s\nwant %d %s", c.method, c.path, c.body, r.status, r.body, c.status, c.content)
		}
		if got := r.header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%s %s: Content-Type %s", c.method, c.path, got)
		}
		if strings.HasSuffix(c.path, "/run") && strings.Contains(r.body, "disk on fire") {
			t.Errorf("%s %s: a fault inside the service is told to the caller: %s", c.method, c.path, r.body)
		}
		if allow := r.header.Get("Allow"); (r.status == 405) != (allow != "") {
			t.Errorf("%s %s: %d with Allow %q", c.method, c.path, r.status, allow)
		}
	})
}

// A body of unknown length is bounded too.
func TestAChunkedBodyIsBounded(t *testing.T) {
	p := newPlace(t)
	r := newRequest(t, "POST", "http://keeper/api/Jobs/inventory/run", "")
	r.Body = http.NoBody
	r.ContentLength = -1
	r.Body = struct {
		*bytes.Reader
		nopCloser
	}{Reader: bytes.NewReader(make([]byte, 1<<20+1))}
	if got := send(t, p.overSocket(), r); got.status != 413 {
		t.Errorf("%d %s, want 413", got.status, got.body)
	}
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// DNS rebinding: a page of attacker.example, resolved to 127.0.0.1, still says
// whose page it is (CVE-2022-41924).
func TestForeignHostsAreRefused(t *testing.T) {
	p := newPlace(t)
	_, plain, _ := net.SplitHostPort(p.plain)
	_, secure, _ := net.SplitHostPort(p.tls)
	ways := map[string]struct {
		http.RoundTripper
		scheme, port string
	}{
		"plain":  {p.overPlain(), "http", plain},
		"https":  {p.overTLS(), "https", secure},
		"socket": {p.overSocket(), "http", secure},
		"bound":  {p.overBound(run1), "http", secure},
	}
	p.https.ServerName = "localhost"
	for name, way := range ways {
		served := []string{"localhost", "LocalHost", "127.0.0.1", "[::1]",
			"localhost:" + way.port, "127.0.0.1:" + way.port, "[::1]:" + way.port}
		refused := []string{"attacker.example", "attacker.example:" + way.port, "localhost.attacker.example",
			"localhost.", "127.0.0.1.nip.io", "127.1", "127.0.0.2", "2130706433", "0.0.0.0", "[::]", "::1",
			"localhost:1", "127.0.0.1:80", "[::1]:443", "[::ffff:127.0.0.1]", "keeper:" + way.port, "localhost:" + way.port + "0", "localhost:0"}
		if name == "socket" || name == "bound" {
			served = append(served, "keeper")
		} else {
			refused = append(refused, "keeper")
		}
		for _, host := range served {
			r := newRequest(t, "GET", way.scheme+"://placeholder/health", "")
			r.Host = host
			if got := send(t, way, r); got.status != 200 {
				t.Errorf("%s: Host %s: %d %s, want 200", name, host, got.status, got.body)
			}
		}
		for _, host := range refused {
			r := newRequest(t, "GET", way.scheme+"://placeholder/health", "")
			r.Host = host
			if got := send(t, way, r); got.status != 403 || !strings.Contains(got.body, `"code":"foreign-host"`) {
				t.Errorf("%s: Host %s: %d %s, want 403 foreign-host", name, host, got.status, got.body)
			}
		}
	}
}

// CSRF: what a browser sends for another site's page carries Origin or
// Sec-Fetch-Site, and pages cannot remove them.
func TestForeignPagesAreRefused(t *testing.T) {
	p := newPlace(t)
	own := "https://" + p.tls
	_, port, _ := net.SplitHostPort(p.tls)
	for _, c := range []struct {
		header string
		values []string
		status int
	}{
		{"Origin", []string{own}, 202},
		{"Origin", []string{"https://localhost:" + port}, 202},
		{"Origin", []string{"https://[::1]:" + port}, 202},
		{"Origin", []string{"http://" + p.tls}, 403},
		{"Origin", []string{"http://" + p.plain}, 403},
		{"Origin", []string{"https://localhost"}, 403},
		{"Origin", []string{"https://attacker.example"}, 403},
		{"Origin", []string{"https://localhost:" + port + ".attacker.example"}, 403},
		{"Origin", []string{"null"}, 403},
		{"Origin", []string{""}, 403},
		{"Origin", []string{own, "https://attacker.example"}, 403},
		{"Sec-Fetch-Site", []string{"none"}, 202},
		{"Sec-Fetch-Site", []string{"same-origin"}, 202},
		{"Sec-Fetch-Site", []string{"same-site"}, 403},
		{"Sec-Fetch-Site", []string{"cross-site"}, 403},
		{"Sec-Fetch-Site", []string{"none", "cross-site"}, 403},
	} {
		r := newRequest(t, "POST", own+"/api/Jobs/inventory/run", "")
		r.Header[c.header] = c.values
		got := send(t, p.overTLS(), r)
		if got.status != c.status || c.status == 403 && !strings.Contains(got.body, `"code":"foreign-origin"`) {
			t.Errorf("%s %q: %d %s, want %d", c.header, c.values, got.status, got.body, c.status)
		}
	}
	if len(p.runs) != 5 {
		t.Errorf("%d runs were started, want the 5 that are permitted", len(p.runs))
	}
	// No page's origin is a local socket.
	r := newRequest(t, "GET", "http://keeper/health", "")
	r.Header.Set("Origin", "http://keeper")
	if got := send(t, p.overSocket(), r); got.status != 403 {
		t.Errorf("Origin on the local socket: %d, want 403", got.status)
	}
}

func TestTLSVersionsAndProtocols(t *testing.T) {
	p := newPlace(t)
	for version, want := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c := p.https.Clone()
		c.MinVersion, c.MaxVersion, c.NextProtos = version, version, []string{"h2", "http/1.1"}
		conn, err := tls.Dial("tcp", p.tls, c)
		if got := err == nil; got != want {
			t.Errorf("%s: accepted %v, want %v (%v)", tls.VersionName(version), got, want, err)
		}
		if err == nil {
			if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("%s: negotiated %q", tls.VersionName(version), got)
			}
			conn.Close()
		}
	}
}

func TestListenersMustBeLoopback(t *testing.T) {
	p := newPlace(t)
	ln, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, serve := range map[string]func(net.Listener) error{"ServePlain": p.server.ServePlain, "ServeTLS": p.server.ServeTLS} {
		if err := serve(ln); err == nil {
			t.Errorf("%s takes a listener on every interface", name)
		}
	}
}

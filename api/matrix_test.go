package api_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kpm/core"
)

// beings are all the callers there can be.
func beings() []being {
	plugin := core.Principal{Kind: core.Plugin, User: "0", Name: "KeeperPolicy"}
	chat := core.Principal{Kind: core.Plugin, User: "1000", Name: "Chat", InUserSession: true}
	task := core.Principal{Kind: core.JobRun, User: "0", Name: "inventory", Run: "r2"}
	desktop := run1
	desktop.User, desktop.InUserSession = "1000", true
	// What would be root is nobody if any of this is so.
	nobody := func(name string, change func(*being)) being {
		b := root
		b.name, b.nobody = name, true
		change(&b)
		return b
	}
	return []being{
		nobody("unknown peer", func(b *being) { b.peerErr = errors.New("no such socket") }),
		nobody("no holder", func(b *being) { b.peer.Processes = nil }),
		nobody("setuid program that inherited the socket", func(b *being) { b.peer.SameIdentity = false }),
		nobody("plugin that shares its socket with a stranger", func(b *being) {
			b.who = core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
			b.peer.Processes = append(process(260), process(270)...)
		}),
		nobody("root in a container", func(b *being) { b.peer.Foreign = true }),
		nobody("root whose process has ended", func(b *being) { b.dead = true }),
		// Users.
		user,
		{name: "root inside an elevation", peer: servicePeer(200), who: core.Principal{Kind: core.User, User: "0"}, elevated: true},
		{name: "plugin in a user's session", peer: userPeer(210), who: chat},
		{name: "task in a user's session", peer: userPeer(220), who: desktop},
		// Service context.
		{name: "plugin", peer: servicePeer(230), who: plugin},
		{name: "task", peer: servicePeer(240), who: task},
		{name: "task of the request", peer: servicePeer(250), who: run1},
		// Http tasks.
		{name: "Http task of the request", bound: true, who: run1},
		{name: "Http task of another job", bound: true, who: task},
		{name: "Http task with an allow list", bound: true, who: core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"}},
		// Administrators.
		root,
		// The service itself.
		{name: "the service's own process", peer: core.Peer{User: "0", Administrator: true, Processes: []core.ProcessID{self}, SameIdentity: true}},
	}
}

// requests are the columns of the matrix.
func requests() []struct{ method, path, body string } {
	launch := fmt.Sprintf(`{"RequestId":%q}`, request1)
	other := `{"RequestId":"BBBBBBBBBBBBBBBBBBBBBBBBBB"}`
	return []struct{ method, path, body string }{
		{"GET", "/", ""},
		{"GET", "/health", ""},
		{"GET", "/api/system/status", ""},
		{"GET", "/openapi.json", ""},
		{"GET", "/schemas/plugin.schema.json", ""},
		{"GET", "/api/plugins", ""},
		{"GET", "/api/Jobs", ""},
		{"GET", "/api/PluginSettings/KeeperPrivilegeManager", ""},
		{"GET", "/api/PluginSettings/Chat", ""},
		{"GET", "/api/PluginSettings/Chat/colour", ""},
		{"GET", "/api/PluginSettings/KeeperPolicy/policy.enforceForAdministrators", ""},
		{"POST", "/api/Jobs/inventory/run", ""},
		{"POST", "/api/Jobs/open-to-plugins/run", ""},
		{"POST", "/api/Jobs/open-to-plugins/trigger", `{"a":1}`},
		{"POST", "/api/Jobs/LaunchPrivilegeElevation/trigger", ""},
		{"POST", "/api/launch", launch},
		{"POST", "/api/launch", other},
		{"POST", "/api/launch-substitute", launch},
		{"POST", "/api/launch-substitute", other},
		{"POST", "/api/refuse", launch},
		{"POST", "/api/refuse", other},
		{"GET", "/api/plugins/KeeperPolicy/health", ""},
		{"GET", "/api/plugins/monitoring", ""},
		{"POST", "/api/plugins/KeeperPolicy/restart", ""},
		{"POST", "/api/plugins/KeeperPolicy/start", ""},
		{"POST", "/api/plugins/KeeperPolicy/stop", ""},
		{"POST", "/api/plugins/reload", ""},
		{"PUT", "/api/PluginSettings/Chat/colour", `"green"`},
		{"POST", "/api/PluginSettings/Chat/revert", ""},
		{"PUT", "/api/PluginSettings/KeeperPolicy/x", `"green"`},
		{"POST", "/api/PluginSettings/revert-all", ""},
		{"GET", "/api/Settings", ""},
		{"PUT", "/api/Settings", `{"Settings":{}}`},
		{"POST", "/api/system/reload", ""},
		{"GET", "/api/plugins/KeeperPolicy/check", ""},
		{"POST", "/api/plugins/New/check", `{}`},
		{"GET", "/api/doctor", ""},
		{"GET", "/api/topics", ""},
		{"GET", "/api/LastKnownGood", ""},
		{"POST", "/api/LastKnownGood/approve", ""},
		{"POST", "/api/plugins/Chat/approve", ""},
		{"GET", "/api/grants", ""},
		{"DELETE", "/api/grants/G1000", ""},
		{"GET", "/metrics", ""},
		{"GET", "/api/system/overview", ""},
		{"GET", "/api/audit", ""},
		{"GET", "/api/Mfa", ""},
		{"POST", "/api/Mfa/anna", `{"replace":true}`},
		{"DELETE", "/api/Mfa/anna", ""},
		{"POST", "/api/Mfa/anna/ticket", ""},
		{"POST", "/api/Mfa", `{"ticket":"x"}`},
		{"POST", "/api/Mfa/login", ""},
		{"GET", "/api/approvals", ""},
		{"GET", "/api/approvals/ABCD-2345", ""},
		{"POST", "/api/approvals/ABCD-2345/approve", ""},
		{"POST", "/api/approvals/ABCD-2345/withdraw", ""},
		{"POST", "/api/approvals/ABCD-2345/code", `{"code":"12345-67890"}`},
		{"GET", "/api/ApprovalKey", ""},
		{"POST", "/api/ApprovalKey", `{"replace":true}`},
		{"DELETE", "/api/ApprovalKey", ""},
		{"GET", "/api/rights", ""},
		{"POST", "/api/rights/check", ""},
		{"POST", "/api/rights/u1000/return", ""},
		{"POST", "/api/rights/u1000/resume", ""},
		{"GET", "/api/filegrants", ""},
		{"POST", "/api/filegrants", `{"UserName":"u1000","FilePath":"/srv/list"}`},
		{"POST", "/api/filegrants", launch},
		{"POST", "/api/filegrants", other},
		{"POST", "/api/filegrants/cleanup", ""},
		{"DELETE", "/api/filegrants/F1000", ""},
		{"GET", "/api/fileaccess", ""},
		{"POST", "/api/ephemeralaccount", launch},
		{"POST", "/api/ephemeralaccount/cleanup", ""},
		{"POST", "/api/usersession", launch},
		{"POST", "/api/usersession", other},
		{"POST", "/api/prompts/Q1", `{"outcome":"declined"}`},
	}
}

// expected holds a row per caller and a column per request: the status, or for
// 403 the letter of its code.
var expected = map[string]string{
	// one column for each of requests(), in that order
	"unknown peer": `200 200 200 200 200 tP  tP  tP  tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tU  tU  tA  tA  tA  tA  tA  tA  tA  tU  tU  tU  tU  tU  tU  tU  tA  tA  tA  tU  tA  tA  tA  tU  tA  tA  tA  tP  tU  tA  n   tA  n   n   tU`,
	"no holder":    `200 200 200 200 200 tP  tP  tP  tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tU  tU  tA  tA  tA  tA  tA  tA  tA  tU  tU  tU  tU  tU  tU  tU  tA  tA  tA  tU  tA  tA  tA  tU  tA  tA  tA  tP  tU  tA  n   tA  n   n   tU`,
	"setuid program that inherited the socket":      `200 200 200 200 200 tP  tP  tP  tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tU  tU  tA  tA  tA  tA  tA  tA  tA  tU  tU  tU  tU  tU  tU  tU  tA  tA  tA  tU  tA  tA  tA  tU  tA  tA  tA  tP  tU  tA  n   tA  n   n   tU`,
	"plugin that shares its socket with a stranger": `200 200 200 200 200 tP  tP  tP  tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tU  tU  tA  tA  tA  tA  tA  tA  tA  tU  tU  tU  tU  tU  tU  tU  tA  tA  tA  tU  tA  tA  tA  tU  tA  tA  tA  tP  tU  tA  n   tA  n   n   tU`,
	"root in a container":                           `200 200 200 200 200 tP  tP  tP  tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tU  tU  tA  tA  tA  tA  tA  tA  tA  tU  tU  tU  tU  tU  tU  tU  tA  tA  tA  tU  tA  tA  tA  tU  tA  tA  tA  tP  tU  tA  n   tA  n   n   tU`,
	"root whose process has ended":                  `200 200 200 200 200 tP  tP  tP  tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tU  tU  tA  tA  tA  tA  tA  tA  tA  tU  tU  tU  tU  tU  tU  tU  tA  tA  tA  tU  tA  tA  tA  tU  tA  tA  tA  tP  tU  tA  n   tA  n   n   tU`,
	"user":                                          `200 200 200 200 200 tP  tP  200 tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 200 tA  tA  tA  tA  tA  tA  tA  200 200 200 200 200 200 200 tA  tA  tA  200 tA  tA  tA  200 tA  tA  tA  tP  200 tA  n   tA  n   n   200`,
	"root inside an elevation":                      `200 200 200 200 200 tP  tP  200 tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 404 tA  tA  tA  tA  tA  tA  tA  200 200 200 200 200 200 200 tA  tA  tA  200 tA  tA  tA  200 tA  tA  tA  tP  404 tA  n   tA  n   n   200`,
	"plugin in a user's session":                    `200 200 200 200 200 tP  tP  200 200 200 tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 200 tA  tA  tA  tA  tA  tA  tA  n   n   n   n   n   n   n   tA  tA  tA  200 tA  tA  tA  200 tA  tA  tA  tP  200 tA  n   tA  n   n   n`,
	"task in a user's session":                      `200 200 200 200 200 tP  tP  200 tP  tP  tP  tA  tA  tA  tA  n   n   n   n   n   n   tP  tP  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 200 tA  tA  tA  tA  tA  tA  tA  n   n   n   n   n   n   n   tA  tA  tA  200 tA  tA  tA  200 tA  tA  tA  tP  200 tA  n   tA  n   n   n`,
	"plugin":                                        `200 200 200 200 200 200 200 200 200 200 200 tA  202 202 o   n   n   n   n   n   n   200 200 tA  tA  tA  tA  tA  tA  200 tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 404 tA  tA  tA  tA  tA  tA  tA  n   n   n   n   n   n   n   tA  tA  tA  200 tA  tA  tA  200 tA  n   n   200 404 tA  n   tA  n   n   n`,
	"task":                                          `200 200 200 200 200 200 200 200 200 200 200 tA  202 202 o   n   n   n   n   n   n   200 200 tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 404 tA  tA  tA  tA  tA  tA  tA  n   n   n   n   n   n   n   tA  tA  tA  200 tA  tA  tA  200 tA  n   n   200 404 tA  n   tA  n   n   n`,
	"task of the request":                           `200 200 200 200 200 200 200 200 200 200 200 tA  202 202 o   200 n   200 n   200 n   200 200 tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  tA  200 404 tA  tA  tA  tA  tA  tA  tA  n   n   n   n   n   n   n   tA  tA  tA  200 tA  tA  tA  200 tA  200 n   200 404 tA  200 tA  200 n   n`,
	"Http task of the request":                      `200 200 200 200 200 200 200 200 200 200 200 tA  202 202 o   200 n   200 n   200 n   200 200 n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   200 404 n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   200 n   n   n   200 tA  200 n   200 404 n   200 n   200 n   n`,
	"Http task of another job":                      `200 200 200 200 200 200 200 200 200 200 200 tA  202 202 o   n   n   n   n   n   n   200 200 n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   200 404 n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   200 n   n   n   200 tA  n   n   200 404 n   n   n   n   n   n`,
	"Http task with an allow list":                  `200 200 200 200 200 200 200 200 200 200 200 202 202 202 o   n   n   n   n   n   n   200 200 n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   200 404 n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   n   200 n   n   n   200 tA  n   n   200 404 n   n   n   n   n   n`,
	"root":                                          `200 200 200 200 200 200 200 200 200 200 200 202 202 202 o   n   n   n   n   n   n   200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 200 n   n   200 200 200 200 200 200 200 200 200 200 200 200 200 200 n   n   200 200 200 n   200 n   n   200`,
	"the service's own process":                     `s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s   s`,
}

// letters stand for what a 403 must say.
var letters = map[string]string{
	"tU": `"code":"tier-too-low","requiredTier":"User"`,
	"tP": `"code":"tier-too-low","requiredTier":"Plugin"`,
	"tA": `"code":"tier-too-low","requiredTier":"Admin"`,
	"n":  `"code":"not-permitted"`,
	"o":  `"code":"own-events-only"`,
	"s":  `"code":"own-process"`,
}

// everyExchange sends every request as every caller.
func everyExchange(t *testing.T, visit func(b being, column int, r reply)) {
	p := newPlace(t)
	p.allow = []string{"GET /api/Jobs", "POST /api/Jobs/inventory/run", "POST /api/Jobs/LaunchPrivilegeElevation/trigger", "POST /api/launch"}
	for _, b := range beings() {
		p.connectAs(b)
		ways := map[string]*http.Transport{"https://" + p.tls: p.overTLS(), "http://keeper": p.overSocket()}
		if b.bound {
			ways = map[string]*http.Transport{"http://keeper": p.overBound(b.who)}
		}
		for base, way := range ways {
			way.DisableKeepAlives = false // the same caller throughout
			for column, r := range requests() {
				visit(b, column, send(t, way, newRequest(t, r.method, base+r.path, r.body)))
			}
			way.CloseIdleConnections()
		}
	}
}

func TestEveryEndpointAndEveryCaller(t *testing.T) {
	seen := map[string]bool{}
	everyExchange(t, func(b being, column int, r reply) {
		seen[b.name] = true
		row := strings.Fields(expected[b.name])
		if len(row) != len(requests()) {
			t.Fatalf("%s: the table has %d columns, there are %d requests", b.name, len(row), len(requests()))
		}
		status, content := row[column], ""
		if said, is403 := letters[status]; is403 {
			status, content = "403", said
		}
		if fmt.Sprint(r.status) != status || !strings.Contains(r.body, content) {
			t.Errorf("%s: %s %s: %d %s\nwant %s %s", b.name, r.request.Method, r.request.URL.Path, r.status, r.body, status, content)
		}
	})
	for name := range expected {
		if !seen[name] {
			t.Errorf("the table has a row for %q, who does not exist", name)
		}
	}
}

// An allow list is compared with one spelling of a path, however it was sent.
func TestAllowListsAndSpellings(t *testing.T) {
	p := newPlace(t)
	p.allow = []string{"POST /api/Jobs/inventory/run", "GET /api/PluginSettings/Chat/colour"}
	way := p.overBound(core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"})
	for path, want := range map[string]int{
		"/API/jobs/inventory/RUN":              202,
		"/api/Jobs/%69nventory/run":            202,
		"/api/Jobs/INVENTORY/run":              404, // to the job service it is the same job
		"/api/Jobs/inventory%2Frun":            405,
		"/api/Jobs/inventory/trigger":          403,
		"/api/PluginSettings/Chat/colour":      405,
		"/api/Jobs/open-to-plugins/../x/run":   404,
		"/api/Jobs/inventory/run?x=/api/Jobs/": 202,
	} {
		if r := send(t, way, newRequest(t, "POST", "http://keeper"+path, "")); r.status != want {
			t.Errorf("POST %s: %d %s, want %d", path, r.status, r.body, want)
		}
	}
	for path, want := range map[string]int{
		"/api/pluginsettings/Chat/colour":   200,
		"/api/PluginSettings/Chat%2Fcolour": 404,
		"/api/PluginSettings/Chat":          200,
	} {
		if r := send(t, way, newRequest(t, "GET", "http://keeper"+path, "")); r.status != want {
			t.Errorf("GET %s: %d %s, want %d", path, r.status, r.body, want)
		}
	}
}

func TestATierThatDoesNotReachNamesTheCallers(t *testing.T) {
	p := newPlace(t)
	for _, b := range beings() {
		if b.bound {
			continue
		}
		p.connectAs(b)
		r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/api/plugins", ""))
		if !strings.Contains(r.body, "tier-too-low") {
			continue
		}
		tier := b.who.Tier()
		if b.nobody {
			tier = core.TierPublic
		}
		if want := fmt.Sprintf(`"callerTier":%q`, tier); !strings.Contains(r.body, want) {
			t.Errorf("%s: %s\nwant %s", b.name, r.body, want)
		}
	}
}

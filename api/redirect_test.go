package api_test

import (
	"net"
	"strings"
	"testing"

	"kpm/api"
)

func TestPlainHTTPRedirectsAndNothingElse(t *testing.T) {
	p := newPlace(t)
	secure := "https://127.0.0.1:" + portOf(t, p.tls)
	for target, want := range map[string]string{
		"/api/Jobs":                     secure + "/api/Jobs",
		"/api/PluginSettings/a%2Fb?x=1": secure + "/api/PluginSettings/a%2Fb?x=1",
		"/nowhere":                      secure + "/nowhere",
		"//attacker.example/":           secure + "//attacker.example/",
		"/@attacker.example":            secure + "/@attacker.example",
		"/api/launch":                   secure + "/api/launch",
		"/?next=https://x":              "", // a public page
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"} {
			r := newRequest(t, method, "http://"+p.plain, "")
			r.URL.Opaque = "//" + p.plain + target
			got := send(t, p.overPlain(), r)
			status, want := 308, want
			switch {
			case want == "" && (method == "GET" || method == "HEAD"):
				status = 200
			case want == "": // which HTTPS refuses
				want = secure + target
			}
			if got.status != status || got.header.Get("Location") != want {
				t.Errorf("%s %s: %d to %s, want %d to %s", method, target, got.status, got.header.Get("Location"), status, want)
			}
		}
	}
	if p.runs != nil || p.moves != nil {
		t.Errorf("plain HTTP did something: %v %v", p.runs, p.moves)
	}
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestPlainHTTPWithoutHTTPS(t *testing.T) {
	w := newWorld()
	w.connectAs(user)
	secure, _ := newCertificate(t)
	cfg := w.config(t, secure)
	server, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := &place{world: w, server: server}
	t.Cleanup(p.close)
	p.plain = p.listen(t, "tcp", "127.0.0.1:0", server.ServePlain)
	if got := send(t, p.overPlain(), newRequest(t, "GET", "http://"+p.plain+"/api/Jobs", "")); got.status != 503 ||
		!strings.Contains(got.body, `"code":"unavailable"`) || got.header.Get("Location") != "" {
		t.Errorf("%d %s, want 503 and no address that is not held", got.status, got.body)
	}
	if got := send(t, p.overPlain(), newRequest(t, "GET", "http://"+p.plain+"/health", "")); got.status != 200 {
		t.Errorf("/health: %d, want 200", got.status)
	}
}

package api_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/trust"
)

// clientCA issues certificates to administrators.
type clientCA struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newClientCA(t testing.TB) *clientCA {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Administrators"}, BasicConstraintsValid: true,
		IsCA: true, KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &clientCA{c, key}
}

// issue makes a client's certificate.
func (ca *clientCA) issue(t testing.TB) *tls.Certificate {
	t.Helper()
	key := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "deployment"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		NotBefore:   time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}, ca.Certificate, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (ca *clientCA) authority(t testing.TB) *trust.ClientAuthority {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clients.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := trust.LoadClientAuthority(path, os.Open)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// signers know which processes run signed programs.
type signers struct {
	mu    sync.Mutex
	known map[core.ProcessID]bool
	asked int
}

func (s *signers) Trusted(_ context.Context, id core.ProcessID) (bool, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	return s.known[id], fmt.Sprintf("process %s is nobody's\x1b[2J", id)
}

func (s *signers) set(id core.ProcessID, signed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[id] = signed
}

func signing(processes ...core.ProcessID) *signers {
	s := &signers{known: map[core.ProcessID]bool{}}
	for _, id := range processes {
		s.known[id] = true
	}
	return s
}

var two = being{name: "root, with a second holder", peer: core.Peer{
	User: "0", Administrator: true, SameIdentity: true, Processes: append(process(100), process(101)...),
}, who: root.who}

// adminTable is "Administrators" of docs/wire.md, row by row: a test holds
// the page against it.
var adminTable = []struct {
	certificate, signed string // what the settings ask: "no" or "yes"
	shows, runs         string // what the caller has: "no", "yes" or "any"
	tier, code          string
}{
	{"no", "no", "any", "any", "Admin", ""},
	{"no", "yes", "any", "yes", "Admin", ""},
	{"no", "yes", "any", "no", "User", "signed-program-required"},
	{"yes", "no", "yes", "any", "Admin", ""},
	{"yes", "no", "no", "yes", "Plugin", "client-certificate-required"},
	{"yes", "no", "no", "no", "User", "client-certificate-required"},
	{"yes", "yes", "yes", "yes", "Admin", ""},
	{"yes", "yes", "yes", "no", "User", "signed-program-required"},
	{"yes", "yes", "no", "yes", "Plugin", "client-certificate-required"},
	{"yes", "yes", "no", "no", "User", "client-certificate-required"},
}

// either lists what "any" stands for.
func either(text string) []bool {
	if text == "any" {
		return []bool{false, true}
	}
	return []bool{text == "yes"}
}

func TestWhatAdministratorsNeed(t *testing.T) {
	ca := newClientCA(t)
	authority, pair := ca.authority(t), ca.issue(t)
	contract := newContract(t, string(readFile(t, "openapi.json")))
	for _, row := range adminTable {
		for _, shows := range either(row.shows) {
			for _, runs := range either(row.runs) {
				what := fmt.Sprintf("asked: certificate %s, signed %s; has: certificate %v, signed %v", row.certificate, row.signed, shows, runs)
				programs := signing()
				if runs {
					programs = signing(root.peer.Processes...)
				}
				p := newPlace(t, func(c *api.Config) {
					c.Administrators = api.Administrators{Signed: row.signed == "yes", Programs: programs}
					if row.certificate == "yes" {
						c.Administrators.Clients = authority
					}
				})
				if shows {
					p.https.Certificates = []tls.Certificate{*pair}
				}
				p.connectAs(root)
				secure := "https://" + p.tls
				tier := "User"
				if r := send(t, p.overTLS(), newRequest(t, "GET", secure+"/api/plugins", "")); r.status == 200 {
					tier = "Plugin"
				} else if !strings.Contains(r.body, row.code) {
					t.Errorf("%s: %s", what, r.body)
				}
				r := send(t, p.overTLS(), newRequest(t, "POST", secure+"/api/Jobs/inventory/run", ""))
				if r.status == 202 {
					tier = "Admin"
				} else if want := fmt.Sprintf(`"code":%q,"requiredTier":"Admin","callerTier":%q`, row.code, row.tier); r.status != 403 || !strings.Contains(r.body, want) {
					t.Errorf("%s: %d %s, want %s", what, r.status, r.body, want)
				}
				if err := contract.check(r); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				if strings.Contains(r.body, `\u001b`) {
					t.Errorf("%s: what others wrote moves the reader's cursor: %s", what, r.body)
				}
				if tier != row.tier {
					t.Errorf("%s: tier %s, want %s", what, tier, row.tier)
				}
			}
		}
	}
}

// The page says the same, in the same words.
func TestTheTableOfAdministratorsIsTheDocumentedOne(t *testing.T) {
	var want strings.Builder
	for _, row := range adminTable {
		code := "-"
		if row.code != "" {
			code = "`" + row.code + "`"
		}
		fmt.Fprintf(&want, "| %s | %s | %s | %s | %s | %s |\n", row.certificate, row.signed, row.shows, row.runs, row.tier, code)
	}
	if !bytes.Contains(readFile(t, "../docs/wire.md"), []byte(want.String())) {
		t.Errorf("docs/wire.md lacks\n%s", want.String())
	}
}

// Everyone else has what they had, and nobody gains by a certificate or a
// signature: only the kernel makes administrators (decision 11).
func TestNobodyElseIsConcerned(t *testing.T) {
	ca := newClientCA(t)
	authority, pair := ca.authority(t), ca.issue(t)
	everyone := signing()
	for _, b := range beings() {
		for _, id := range b.peer.Processes {
			everyone.known[id] = true
		}
	}
	p := newPlace(t, func(c *api.Config) {
		c.Administrators = api.Administrators{Clients: authority, Signed: true, Programs: everyone}
	})
	p.https.Certificates = []tls.Certificate{*pair}
	p.allow = []string{"GET /api/Jobs", "POST /api/Jobs/inventory/run", "POST /api/Jobs/LaunchPrivilegeElevation/trigger", "POST /api/launch"}
	for _, b := range beings() {
		p.connectAs(b)
		base, way := "https://"+p.tls, p.overTLS()
		if b.bound {
			base, way = "http://keeper", p.overBound(b.who)
		}
		way.DisableKeepAlives = false
		row := strings.Fields(expected[b.name])
		for column, r := range requests() {
			got := send(t, way, newRequest(t, r.method, base+r.path, r.body))
			want := row[column]
			if _, is403 := letters[want]; is403 {
				want = "403"
			}
			if fmt.Sprint(got.status) != want {
				t.Errorf("%s: %s %s: %d %s, want %s", b.name, r.method, r.path, got.status, got.body, want)
			}
		}
		way.CloseIdleConnections()
	}
}

// The local socket cannot carry a certificate: it makes no administrators where
// one is needed. Bound connections have their run's rights as ever.
func TestALocalSocketShowsNoCertificate(t *testing.T) {
	ca := newClientCA(t)
	p := newPlace(t, func(c *api.Config) { c.Administrators.Clients = ca.authority(t) })
	p.allow = []string{"POST /api/Jobs/inventory/run"}
	p.connectAs(root)
	for _, target := range []struct{ method, path string }{{"GET", "/api/plugins"}, {"POST", "/api/Jobs/inventory/run"}} {
		r := send(t, p.overSocket(), newRequest(t, target.method, "http://keeper"+target.path, ""))
		if r.status != 403 || !strings.Contains(r.body, `"code":"client-certificate-required"`) || !strings.Contains(r.body, "over HTTPS") {
			t.Errorf("%s %s: %d %s", target.method, target.path, r.status, r.body)
		}
	}
	if r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/health", "")); r.status != 200 {
		t.Errorf("/health: %d", r.status)
	}
	maintenance := core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"}
	if r := send(t, p.overBound(maintenance), newRequest(t, "POST", "http://keeper/api/Jobs/inventory/run", "")); r.status != 202 {
		t.Errorf("an Http task: %d %s", r.status, r.body)
	}
}

// Nobody is believed to have shown a certificate because a header says so.
func TestHeadersShowNoCertificate(t *testing.T) {
	ca := newClientCA(t)
	p := newPlace(t, func(c *api.Config) { c.Administrators.Clients = ca.authority(t) })
	p.connectAs(root)
	r := newRequest(t, "POST", "https://"+p.tls+"/api/Jobs/inventory/run", "")
	for _, name := range []string{"X-Client-Cert", "X-SSL-Client-Cert", "X-ARR-ClientCert", "Client-Cert", "X-Forwarded-Client-Cert", "SSL-Client-Verify"} {
		r.Header.Set(name, "SUCCESS")
	}
	if got := send(t, p.overTLS(), r); got.status != 403 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A certificate that does not verify ends the handshake, whoever shows it.
func TestAWrongCertificateEndsTheHandshake(t *testing.T) {
	ca, other := newClientCA(t), newClientCA(t)
	p := newPlace(t, func(c *api.Config) { c.Administrators.Clients = ca.authority(t) })
	for _, b := range []being{root, user} {
		p.connectAs(b)
		way := p.overTLS()
		wrong := other.issue(t)
		way.TLSClientConfig = p.https.Clone()
		way.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return wrong, nil }
		if response, err := way.RoundTrip(newRequest(t, "GET", "https://"+p.tls+"/health", "")); err == nil {
			response.Body.Close()
			t.Errorf("%s: %d", b.name, response.StatusCode)
		}
	}
}

// Every holder of the connection must run a signed program: what one of them
// writes cannot be told from what another does.
func TestEveryHolderMustBeSigned(t *testing.T) {
	first, second := core.ProcessID{PID: 100, Start: 9}, core.ProcessID{PID: 101, Start: 9}
	for want, programs := range map[int]*signers{202: signing(first, second), 403: signing(first)} {
		p := newPlace(t, func(c *api.Config) { c.Administrators = api.Administrators{Signed: true, Programs: programs} })
		p.connectAs(two)
		if r := send(t, p.overSocket(), newRequest(t, "POST", "http://keeper/api/Jobs/inventory/run", "")); r.status != want {
			t.Errorf("%d %s, want %d", r.status, r.body, want)
		}
	}
}

// Attack: an unsigned program connects, writes its request and becomes a signed
// one that inherits the connection; or a signed one makes way for an unsigned
// one. Both times the same process, by pid and start stamp.
func TestAProgramThatBecomesAnother(t *testing.T) {
	id := root.peer.Processes[0]
	for what, signedAt := range map[string][2]bool{"unsigned, then signed": {false, true}, "signed, then unsigned": {true, false}} {
		programs := signing()
		p := newPlace(t, func(c *api.Config) { c.Administrators = api.Administrators{Signed: true, Programs: programs} })
		p.connectAs(root)
		programs.set(id, signedAt[0])
		conn := dial(t, "unix", p.sock)
		// An answer means that the connection has been accepted.
		if got := get(t, conn, "/health"); got != 200 {
			t.Fatal(got)
		}
		programs.set(id, signedAt[1])
		if got := get(t, conn, "/api/plugins"); got != 403 {
			t.Errorf("%s: %d, want 403", what, got)
		}
		programs.set(id, true)
		if got := get(t, dial(t, "unix", p.sock), "/api/plugins"); got != 200 {
			t.Errorf("%s: signed from the beginning: %d, want 200", what, got)
		}
	}
}

// Programs are judged of administrators alone, and only where somebody asks:
// nobody else can make the service read files.
func TestWhoseProgramsAreJudged(t *testing.T) {
	for what, tc := range map[string]struct {
		rules api.Administrators
		who   being
		plain bool
		want  bool
	}{
		"root":                     {api.Administrators{Signed: true}, root, false, true},
		"root on plain HTTP":       {api.Administrators{Signed: true}, root, true, false},
		"root where nobody asks":   {api.Administrators{}, root, false, false},
		"a user":                   {api.Administrators{Signed: true}, user, false, false},
		"a plugin of the service":  {api.Administrators{Signed: true}, being{peer: servicePeer(230), who: core.Principal{Kind: core.Plugin, User: "0", Name: "KeeperPolicy"}}, false, false},
		"root inside an elevation": {api.Administrators{Signed: true}, being{peer: servicePeer(200), who: core.Principal{Kind: core.User, User: "0"}, elevated: true}, false, false},
	} {
		programs := signing()
		tc.rules.Programs = programs
		p := newPlace(t, func(c *api.Config) { c.Administrators = tc.rules })
		p.connectAs(tc.who)
		base, way := "http://keeper", p.overSocket()
		if tc.plain {
			base, way = "http://"+p.plain, p.overPlain()
		}
		send(t, way, newRequest(t, "GET", base+"/health", ""))
		if got := programs.asked > 0; got != tc.want {
			t.Errorf("%s: judged %v, want %v", what, got, tc.want)
		}
	}
}

// Nobody to ask is nobody trusted.
func TestSignedWithoutAJudge(t *testing.T) {
	p := newPlace(t, func(c *api.Config) { c.Administrators = api.Administrators{Signed: true} })
	p.connectAs(root)
	r := send(t, p.overSocket(), newRequest(t, "POST", "http://keeper/api/Jobs/inventory/run", ""))
	if r.status != 403 || !strings.Contains(r.body, `"code":"signed-program-required"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// A judge that takes its time does not keep the service from stopping.
func TestClosingWhileAProgramIsJudged(t *testing.T) {
	judging := make(chan bool)
	p := newPlace(t, func(c *api.Config) { c.Administrators = api.Administrators{Signed: true, Programs: slowJudge(judging)} })
	p.connectAs(root)
	dial(t, "unix", p.sock)
	<-judging
	closed := make(chan error, 1)
	go func() { closed <- p.server.Close(context.Background()) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the service waits for a judge")
	}
}

type slowJudge chan bool

func (s slowJudge) Trusted(ctx context.Context, _ core.ProcessID) (bool, string) {
	s <- true
	select {
	case <-ctx.Done():
	case <-time.After(time.Minute):
	}
	return false, ctx.Err().Error()
}

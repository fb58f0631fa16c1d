package trust_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/trust"
)

// authority reads a file of CAs.
func authority(t testing.TB, file []byte) (*trust.ClientAuthority, error) {
	t.Helper()
	path := write(t, filepath.Join(t.TempDir(), "clients.pem"), file)
	return trust.LoadClientAuthority(path, os.Open)
}

// meet makes a handshake of a client that shows pair, if not nil, with a server
// that asks for it, and returns the server's state.
func meet(t *testing.T, a *trust.ClientAuthority, pair *tls.Certificate, version uint16) (tls.ConnectionState, error) {
	t.Helper()
	server := newMachine(t, trust.Loopback()).TLS()
	a.Ask(server)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	config := &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version} // the server's side is what is tested
	if pair != nil {
		// Whatever the server asks for: an honest client would keep quiet.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair, nil }
	}
	var other sync.WaitGroup
	defer other.Wait()
	other.Go(func() {
		if conn, err := tls.Dial("tcp", listener.Addr().String(), config); err == nil {
			conn.Read(make([]byte, 1)) // until the server has read what was sent
			conn.Close()
		}
	})
	raw, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Server(raw, server)
	err = conn.Handshake()
	return conn.ConnectionState(), err
}

// TestClientCertificates: what an administrator may show, and what not. The
// handshake and the check at each request agree.
func TestClientCertificates(t *testing.T) {
	ca := issue(t, nil, "Client CA", isCA)
	middle := issue(t, ca, "Department", isCA)
	other := issue(t, nil, "Client CA", isCA) // of the same name
	good := issue(t, ca, "root", forClients)
	old := issue(t, ca, "Old", isCA, between(-2*time.Hour, -time.Hour))
	plain := issue(t, ca, "root", func(c *x509.Certificate) {})
	constrained := issue(t, ca, "Servers only", isCA, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	leafAsCA := issue(t, good, "root", forClients)
	limited := issue(t, ca, "No CAs below", isCA, func(c *x509.Certificate) { c.MaxPathLenZero = true })
	tooLong := issue(t, limited, "One too many", isCA)
	a, err := authority(t, chainPEM(ca))
	if err != nil {
		t.Fatal(err)
	}
	shows := func(c *issued, more ...*issued) *tls.Certificate {
		pair := c.pair(more...)
		return &pair
	}
	stolen := good.pair()
	stolen.PrivateKey = other.key // the certificate is public, its key is not
	for _, tc := range []struct {
		what string
		pair *tls.Certificate
		says string // "" is accepted
	}{
		{"issued by the CA", shows(good), ""},
		{"issued below it", shows(issue(t, middle, "root", forClients), middle), ""},
		{"with the root, which proves nothing", shows(good, ca), ""},
		{"for clients and servers", shows(issue(t, ca, "root", forServers, func(c *x509.Certificate) {
			c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		})), ""},

		{"issued by another CA of the same name", shows(issue(t, other, "root", forClients)), "unknown authority"},
		{"and that CA along with it", shows(issue(t, other, "root", forClients), other), "unknown authority"},
		{"self-signed", shows(issue(t, nil, "root", forClients)), "unknown authority"},
		{"self-signed in the CA's name", shows(issue(t, nil, "Client CA", forClients)), "unknown authority"},
		{"issued below, without what leads there", shows(issue(t, middle, "root", forClients)), "unknown authority"},
		{"expired", shows(issue(t, ca, "root", forClients, between(-2*time.Hour, -time.Hour))), "expired"},
		{"not valid yet", shows(issue(t, ca, "root", forClients, between(time.Hour, 2*time.Hour))), "not yet valid"},
		{"below an expired CA", shows(issue(t, old, "root", forClients), old), "expired"},
		{"a server's", shows(issue(t, ca, "localhost", forServers)), "usage"},
		{"for nothing in particular", shows(plain), "usage"},
		{"for anything", shows(issue(t, ca, "root", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })), "usage"},
		{"for code", shows(issue(t, ca, "root", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} })), "usage"},
		{"issued by a CA for servers", shows(issue(t, constrained, "root", forClients), constrained), "usage"},
		{"the CA's own", shows(ca), "CA"},
		{"a CA's below", shows(issue(t, ca, "root", isCA, forClients)), "CA"},
		// A client makes itself a CA (the class of CVE-2025-49825: a
		// certificate nested in another's trust).
		{"issued by a client", shows(leafAsCA, good), "unknown authority"},
		{"through more CAs than allowed", shows(issue(t, tooLong, "root", forClients), tooLong, limited), "path length"},
		{"an unknown critical extension", shows(issue(t, ca, "root", forClients, func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, critical())
		})), "critical"},
		{"somebody else's", &stolen, "verif"},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			state, err := meet(t, a, tc.pair, version)
			if tc.says == "" {
				if err != nil || a.Verify(&state) != nil {
					t.Errorf("%s: %v, %v", tc.what, err, a.Verify(&state))
				}
				continue
			}
			if err == nil {
				t.Errorf("%s: the handshake accepts it", tc.what)
			}
			if tc.pair == &stolen {
				continue // no later check could see that
			}
			// Whatever let a handshake pass: the request asks again.
			var shown tls.ConnectionState
			for _, der := range tc.pair.Certificate {
				c, parseErr := x509.ParseCertificate(der)
				if parseErr != nil {
					t.Fatal(parseErr)
				}
				shown.PeerCertificates = append(shown.PeerCertificates, c)
			}
			shown.VerifiedChains = [][]*x509.Certificate{shown.PeerCertificates} // as somebody believed
			if err := a.Verify(&shown); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%s: at the request: %v, expected %q", tc.what, err, tc.says)
			}
		}
	}
}

func TestNoClientCertificate(t *testing.T) {
	a, err := authority(t, chainPEM(issue(t, nil, "Client CA", isCA)))
	if err != nil {
		t.Fatal(err)
	}
	state, err := meet(t, a, nil, tls.VersionTLS13)
	if err != nil {
		t.Errorf("the handshake of everyone else: %v", err)
	}
	if err := a.Verify(&state); !errors.Is(err, trust.ErrNoClientCertificate) {
		t.Errorf("none shown: %v", err)
	}
	if err := a.Verify(nil); !errors.Is(err, trust.ErrNoClientCertificate) {
		t.Errorf("no TLS: %v", err)
	}
}

// Attack: a server without roots of its own asks the system's, and any CA of
// the world makes administrators.
func TestTheSystemsRootsAreNotAsked(t *testing.T) {
	world := issue(t, nil, "World CA", isCA)
	t.Setenv("SSL_CERT_FILE", write(t, filepath.Join(t.TempDir(), "world.pem"), chainPEM(world)))
	t.Setenv("SSL_CERT_DIR", t.TempDir())
	client := issue(t, world, "root", forClients)
	pair := client.pair()
	system, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Verify(x509.VerifyOptions{Roots: system, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Fatalf("the system does not trust this certificate, so that nothing is tested: %v", err)
	}
	own, err := authority(t, chainPEM(issue(t, nil, "Client CA", isCA)))
	if err != nil {
		t.Fatal(err)
	}
	broken, _ := authority(t, nil)
	for what, a := range map[string]*trust.ClientAuthority{"one CA": own, "a broken file": broken, "nothing": new(trust.ClientAuthority)} {
		if _, err := meet(t, a, &pair, tls.VersionTLS13); err == nil {
			t.Errorf("%s: the handshake accepts it", what)
		}
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{client.Certificate}}
		if err := a.Verify(&state); err == nil {
			t.Errorf("%s: the request accepts it", what)
		}
	}
}

// A file that does not say who may come lets nobody in.
func TestAnAuthorityThatCannotBeRead(t *testing.T) {
	ca := issue(t, nil, "Client CA", isCA)
	leaf := issue(t, ca, "root", forClients)
	for what, file := range map[string][]byte{
		"empty":                     nil,
		"text":                      []byte("ca"),
		"DER":                       ca.Raw,
		"cut short":                 chainPEM(ca)[:200],
		"a second one cut short":    append(chainPEM(ca), chainPEM(ca)[:200]...),
		"a key":                     ca.keyPEM(t),
		"a client's certificate":    chainPEM(leaf),
		"one CA, one client":        chainPEM(ca, leaf),
		"a CA for lists only":       chainPEM(issue(t, nil, "Lists", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCRLSign })),
		"seventeen CAs":             chainPEM(ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca, ca),
		"a self-signed certificate": chainPEM(issue(t, nil, "root", forClients)),
	} {
		a, err := authority(t, file)
		if err == nil || a == nil || !strings.Contains(err.Error(), "Settings:ClientCertificateAuthority") {
			t.Errorf("%s: %v", what, err)
			continue
		}
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf.Certificate}}
		if verdict := a.Verify(&state); !errors.Is(verdict, err) {
			t.Errorf("%s: %v, expected the fault of the file", what, verdict)
		}
		pair := leaf.pair()
		if _, err := meet(t, a, &pair, tls.VersionTLS13); err == nil {
			t.Errorf("%s: a handshake accepts a certificate", what)
		}
		if _, err := meet(t, a, nil, tls.VersionTLS13); err != nil {
			t.Errorf("%s: everyone else is locked out: %v", what, err)
		}
	}
	if _, err := trust.LoadClientAuthority("x", func(string) (*os.File, error) {
		return nil, fmt.Errorf("x: %w", core.ErrNotProtected)
	}); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("a file that others can change: %v", err)
	}
}

// A connection does not outlive its certificate.
func TestValidityIsOfTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := issue(t, nil, "Client CA", isCA)
		client := issue(t, ca, "root", forClients, between(-time.Hour, time.Hour))
		a, err := authority(t, chainPEM(ca))
		if err != nil {
			t.Fatal(err)
		}
		pair := client.pair()
		state, err := meet(t, a, &pair, tls.VersionTLS13)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Verify(&state); err != nil {
			t.Errorf("at once: %v", err)
		}
		time.Sleep(time.Hour + time.Second)
		if err := a.Verify(&state); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// Clients that have several certificates choose by the names that the server
// gives.
func TestClientsAreToldWhoseCertificate(t *testing.T) {
	ca := issue(t, nil, "Client CA", isCA)
	a, err := authority(t, chainPEM(ca))
	if err != nil {
		t.Fatal(err)
	}
	var asked [][]byte
	config := newMachine(t, trust.Loopback()).TLS()
	a.Ask(config)
	_, err = handshake(t, config, &tls.Config{InsecureSkipVerify: true,
		GetClientCertificate: func(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = info.AcceptableCAs
			return &tls.Certificate{}, nil
		}})
	if err != nil || len(asked) != 1 || string(asked[0]) != string(ca.RawSubject) {
		t.Errorf("%v; asked for %d names", err, len(asked))
	}
}

func BenchmarkVerifyClient(b *testing.B) {
	ca := issue(b, nil, "Client CA", isCA)
	client := issue(b, ca, "root", forClients)
	a, err := authority(b, chainPEM(ca))
	if err != nil {
		b.Fatal(err)
	}
	state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{client.Certificate}}
	for b.Loop() {
		if err := a.Verify(state); err != nil {
			b.Fatal(err)
		}
	}
}

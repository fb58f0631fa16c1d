package trust_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"testing"
	"time"

	"kpm/trust"
)

const day = 24 * time.Hour

// handshake serves one connection and returns what the client says of it.
func handshake(t *testing.T, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			err = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
		served <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(raw, client)
	err = conn.Handshake()
	if err == nil { // of TLS 1.3 the server has not finished yet, and may say no
		_, err = conn.Read(make([]byte, 1))
		if err != nil && err.Error() == "EOF" {
			err = nil
		}
	}
	raw.Close()
	<-served
	return conn.ConnectionState(), err
}

// anchors are the certificates of a published file.
func anchors(t *testing.T, file []byte) []*x509.Certificate {
	t.Helper()
	var list []*x509.Certificate
	for rest := file; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if len(bytes.TrimSpace(rest)) != 0 {
				t.Fatalf("published beside certificates: %s", rest)
			}
			return list
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
}

// client trusts a published file and lives at a moment.
func client(t *testing.T, file []byte, name string, now time.Time) *tls.Config {
	t.Helper()
	pool := x509.NewCertPool()
	for _, c := range anchors(t, file) {
		pool.AddCert(c)
	}
	return &tls.Config{RootCAs: pool, ServerName: name, Time: func() time.Time { return now }}
}

// shownLeaf is what a server shows.
func shownLeaf(t *testing.T, server *tls.Config) *x509.Certificate {
	t.Helper()
	c, err := server.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func TestTheCertificateSpeaksForLoopbackOnly(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	for name, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "::1": true,
		"example.com": false, "sub.localhost": false, "127.0.0.2": false, "::2": false, "localhost.example": false,
	} {
		if err := m.accepts(t, name, m.file); (err == nil) != want {
			t.Errorf("%s: accepted %v, want %v (%v)", name, err == nil, want, err)
		}
	}
}

func TestTheCAIsConstrainedToLoopback(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	for _, ca := range anchors(t, m.file) {
		if !ca.IsCA || !ca.MaxPathLenZero || ca.MaxPathLen != 0 || ca.KeyUsage != x509.KeyUsageCertSign {
			t.Errorf("CA %v, path length %d, usage %b", ca.IsCA, ca.MaxPathLen, ca.KeyUsage)
		}
		if !ca.PermittedDNSDomainsCritical || len(ca.PermittedDNSDomains) != 1 || len(ca.PermittedIPRanges) != 2 {
			t.Errorf("name constraints: critical %v, %v, %v", ca.PermittedDNSDomainsCritical, ca.PermittedDNSDomains, ca.PermittedIPRanges)
		}
		for _, permitted := range ca.PermittedIPRanges {
			if ones, bits := permitted.Mask.Size(); ones != bits || !permitted.IP.IsLoopback() {
				t.Errorf("permitted range %v is more than one loopback address", permitted)
			}
		}
		if lifetime := ca.NotAfter.Sub(ca.NotBefore); lifetime > 825*day {
			t.Errorf("it is valid for %v: macOS accepts 825 days", lifetime)
		}
	}
}

func TestTheLeafIsAServerCertificateOnly(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	leaf := shownLeaf(t, m.TLS())
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || leaf.Subject.CommonName != "localhost" {
		t.Errorf("leaf %s: CA %v, usage %b", leaf.Subject, leaf.IsCA, leaf.KeyUsage)
	}
	if len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v, want server authentication alone", leaf.ExtKeyUsage)
	}
	if lifetime := leaf.NotAfter.Sub(leaf.NotBefore); lifetime > 825*day {
		t.Errorf("it is valid for %v: macOS accepts 825 days", lifetime)
	}
	opts := x509.VerifyOptions{Roots: client(t, m.file, "", m.time).RootCAs, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(opts); err == nil {
		t.Error("the leaf passes as a client certificate")
	}
}

// Clients whose clock is not the service's, such as one that was set after they
// had started.
func TestTheCertificateSurvivesTheClock(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	for offset, want := range map[time.Duration]bool{
		-2 * 365 * day: false,
		-360 * day:     true,
		0:              true,
		50 * day:       true,
		100 * day:      false,
	} {
		_, err := handshake(t, m.TLS(), client(t, m.file, "localhost", m.time.Add(offset)))
		if got := err == nil; got != want {
			t.Errorf("clock %v off: accepted %v, want %v (%v)", offset, got, want, err)
		}
	}
}

func TestEveryStartIsNew(t *testing.T) {
	a, b := newMachine(t, trust.Loopback()), newMachine(t, trust.Loopback())
	for _, one := range anchors(t, a.file) {
		for _, other := range anchors(t, b.file) {
			if one.Equal(other) || bytes.Equal(one.RawSubjectPublicKeyInfo, other.RawSubjectPublicKeyInfo) || one.Subject.String() == other.Subject.String() {
				t.Errorf("two starts share %s", one.Subject)
			}
		}
	}
	if err := a.accepts(t, "localhost", b.file); err == nil {
		t.Error("a client that trusts one start accepts another")
	}
}

func TestCallersCannotChangeEachOther(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	m.TLS().NextProtos = append(m.TLS().NextProtos, "http/1.1")
	if got := m.TLS().NextProtos; got != nil {
		t.Errorf("NextProtos of a fresh configuration: %v", got)
	}
}

func BenchmarkLoopbackAtStart(b *testing.B) {
	for b.Loop() {
		if err := trust.NewServerCertificate(trust.ServerConfig{
			Source: trust.Loopback(), Publish: func([]byte) error { return nil }, Log: quiet(),
		}).Renew(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkShow(b *testing.B) {
	certificate := trust.NewServerCertificate(trust.ServerConfig{
		Source: trust.Loopback(), Publish: func([]byte) error { return nil }, Log: quiet(),
	})
	if err := certificate.Renew(); err != nil {
		b.Fatal(err)
	}
	show := certificate.TLS().GetCertificate
	for b.Loop() {
		if _, err := show(nil); err != nil {
			b.Fatal(err)
		}
	}
}

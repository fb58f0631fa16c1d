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

func newLoopback(t *testing.T, now time.Time) *trust.Loopback {
	t.Helper()
	l, err := trust.NewLoopback(now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func pool(t *testing.T, l *trust.Loopback) *x509.CertPool {
	t.Helper()
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(l.CAPEM()) {
		t.Fatalf("CAPEM holds no certificate:\n%s", l.CAPEM())
	}
	return p
}

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
	raw.Close()
	<-served
	return conn.ConnectionState(), err
}

func TestTheCertificateSpeaksForLoopbackOnly(t *testing.T) {
	now := time.Now()
	l := newLoopback(t, now)
	for name, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "::1": true,
		"example.com": false, "sub.localhost": false, "127.0.0.2": false, "::2": false, "localhost.example": false,
	} {
		_, err := handshake(t, l.ServerTLS(), &tls.Config{RootCAs: pool(t, l), ServerName: name})
		if got := err == nil; got != want {
			t.Errorf("%s: accepted %v, want %v (%v)", name, got, want, err)
		}
	}
}

func TestTheCAIsConstrainedToLoopback(t *testing.T) {
	l := newLoopback(t, time.Now())
	block, rest := pem.Decode(l.CAPEM())
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) != 0 {
		t.Fatalf("CAPEM must be exactly one certificate:\n%s", l.CAPEM())
	}
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
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
}

func TestTheLeafIsAServerCertificateOnly(t *testing.T) {
	l := newLoopback(t, time.Now())
	leaf, err := x509.ParseCertificate(l.ServerTLS().Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("leaf: CA %v, usage %b", leaf.IsCA, leaf.KeyUsage)
	}
	if len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageServerAuth {
		t.Errorf("extended key usage %v, want server authentication alone", leaf.ExtKeyUsage)
	}
	opts := x509.VerifyOptions{Roots: pool(t, l), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(opts); err == nil {
		t.Error("the leaf passes as a client certificate")
	}
}

func TestTheCertificateSurvivesTheClock(t *testing.T) {
	now := time.Now()
	l := newLoopback(t, now)
	for offset, want := range map[time.Duration]bool{
		-2 * 365 * 24 * time.Hour: false,
		-360 * 24 * time.Hour:     true,
		0:                         true,
		366 * 24 * time.Hour:      true,
		11 * 365 * 24 * time.Hour: false,
	} {
		at := func() time.Time { return now.Add(offset) }
		_, err := handshake(t, l.ServerTLS(), &tls.Config{RootCAs: pool(t, l), ServerName: "localhost", Time: at})
		if got := err == nil; got != want {
			t.Errorf("clock %v off: accepted %v, want %v (%v)", offset, got, want, err)
		}
	}
}

func TestVersions(t *testing.T) {
	l := newLoopback(t, time.Now())
	for version, want := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		state, err := handshake(t, l.ServerTLS(), &tls.Config{
			RootCAs: pool(t, l), ServerName: "127.0.0.1", MinVersion: version, MaxVersion: version,
		})
		if got := err == nil; got != want || want && state.Version != version {
			t.Errorf("%s: accepted %v, want %v (%v)", tls.VersionName(version), got, want, err)
		}
	}
}

func TestEveryStartIsNew(t *testing.T) {
	now := time.Now()
	a, b := newLoopback(t, now), newLoopback(t, now)
	if bytes.Equal(a.CAPEM(), b.CAPEM()) {
		t.Fatal("two starts share a CA")
	}
	if _, err := handshake(t, a.ServerTLS(), &tls.Config{RootCAs: pool(t, b), ServerName: "localhost"}); err == nil {
		t.Error("a client that trusts one start accepts another")
	}
}

func TestCallersCannotChangeEachOther(t *testing.T) {
	l := newLoopback(t, time.Now())
	l.ServerTLS().NextProtos = append(l.ServerTLS().NextProtos, "http/1.1")
	if got := l.ServerTLS().NextProtos; got != nil {
		t.Errorf("NextProtos of a fresh configuration: %v", got)
	}
	clear(l.CAPEM())
	pool(t, l)
}

func BenchmarkNewLoopback(b *testing.B) {
	for b.Loop() {
		if _, err := trust.NewLoopback(time.Now()); err != nil {
			b.Fatal(err)
		}
	}
}

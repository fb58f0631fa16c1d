package trust_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/trust"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// machine has a clock, a file for clients and a log of its own.
type machine struct {
	*trust.ServerCertificate
	time    time.Time
	file    []byte
	full    error  // why the file cannot be written
	writing func() // while the new file is there and its certificate is not shown yet
	log     bytes.Buffer
}

func newMachine(t *testing.T, source trust.Source) *machine {
	t.Helper()
	m := switchedOn(source)
	if err := m.Renew(); err != nil {
		t.Fatal(err)
	}
	return m
}

func switchedOn(source trust.Source) *machine {
	m := &machine{time: time.Now()}
	m.ServerCertificate = trust.NewServerCertificate(trust.ServerConfig{
		Source: source,
		Now:    func() time.Time { return m.time },
		Publish: func(anchors []byte) error {
			if m.full != nil {
				return m.full
			}
			m.file = anchors
			if m.writing != nil {
				m.writing()
			}
			return nil
		},
		Log: slog.New(slog.NewTextHandler(&m.log, nil)),
	})
	return m
}

// accepts reports whether a client that trusts file takes the machine for name.
func (m *machine) accepts(t *testing.T, name string, file []byte) error {
	t.Helper()
	_, err := handshake(t, m.TLS(), client(t, file, name, m.time))
	return err
}

// A client that reads run/ca.pem once, as most do, and connects again and
// again.
func TestOneReadingOfTheFileLastsAPeriod(t *testing.T) {
	for _, start := range []time.Duration{0, 10 * day, 29 * day} { // since the last change
		m := newMachine(t, trust.Loopback())
		m.time = m.time.Add(start)
		first, seen := m.file, map[string]bool{}
		for age := time.Duration(0); age <= 30*day; age += day {
			if err := m.accepts(t, "localhost", first); err != nil {
				t.Errorf("%v after the change, %v after reading: %v", start, age, err)
			}
			seen[shownLeaf(t, m.TLS()).SerialNumber.String()] = true
			m.time = m.time.Add(day)
		}
		if len(seen) != 2 {
			t.Errorf("%v after the change: %d certificates in a period, expected 2", start, len(seen))
		}
		m.time = m.time.Add(60 * day)
		if err := m.accepts(t, "localhost", first); err == nil {
			t.Error("a file that was read a quarter of a year ago still serves: nothing is renewed")
		}
		if err := m.accepts(t, "localhost", m.file); err != nil {
			t.Errorf("after reading it again: %v", err)
		}
	}
}

// Clocks are set, and machines sleep. No ticker has run: the handshake itself
// must find out.
func TestTheClockJumps(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	for _, jump := range []time.Duration{
		time.Second, -time.Hour, 31 * day, -31 * day, 59 * day, 61 * day, 91 * day, -300 * day, -400 * day, 400 * day,
		-56 * 365 * day, 56 * 365 * day, 20 * 365 * day, -20 * 365 * day,
	} {
		// The monotonic clock knows nothing of it.
		m.time = m.time.Add(jump).Round(0)
		shownLeaf(t, m.TLS())
		if err := m.accepts(t, "localhost", m.file); err != nil {
			t.Errorf("after a jump of %v: %v", jump, err)
		}
		if n := len(anchors(t, m.file)); n > 4 {
			t.Errorf("after a jump of %v the file holds %d anchors", jump, n)
		}
	}
}

// A file that was opened at any moment of a change verifies what is shown then
// and what is shown next.
func TestTheFileIsThereBeforeTheCertificate(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	config := m.TLS() // of a listener that has been there for a while
	old := shownLeaf(t, config)
	var meanwhile []byte
	m.writing = func() { meanwhile = m.file }
	m.time = m.time.Add(31 * day)
	now := shownLeaf(t, config)
	if now.Equal(old) || meanwhile == nil {
		t.Fatal("nothing was renewed")
	}
	roots := client(t, meanwhile, "", m.time).RootCAs
	for what, leaf := range map[string]*x509.Certificate{"the old one": old, "the new one": now} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: m.time, DNSName: "localhost"}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAFullDiskKeepsTheLastGoodOne(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	file, leaf := m.file, shownLeaf(t, m.TLS())
	m.full = errors.New("no space left on device")
	m.time = m.time.Add(31 * day)
	for range 3 {
		if err := m.Renew(); err != nil {
			t.Errorf("with one in hand that is valid: %v", err)
		}
	}
	if !shownLeaf(t, m.TLS()).Equal(leaf) {
		t.Error("a certificate is shown that no client's file knows")
	}
	if n := strings.Count(m.log.String(), "no space left"); n != 1 {
		t.Errorf("the fault is logged %d times:\n%s", n, m.log.String())
	}
	// Its time passes: what every client would refuse is shown to none.
	m.time = m.time.Add(70 * day)
	if err := m.Renew(); !errors.Is(err, trust.ErrNoCertificate) {
		t.Errorf("out of its time: %v", err)
	}
	if _, err := m.TLS().GetCertificate(nil); !errors.Is(err, trust.ErrNoCertificate) {
		t.Errorf("a handshake: %v", err)
	}
	if !bytes.Equal(m.file, file) {
		t.Error("the file has changed")
	}
	m.full = nil
	if err := m.Renew(); err != nil {
		t.Fatal(err)
	}
	if err := m.accepts(t, "localhost", m.file); err != nil {
		t.Error(err)
	}
	if !strings.Contains(m.log.String(), "fault is fixed") {
		t.Errorf("the log does not say that it is over:\n%s", m.log.String())
	}
}

// At the very start there is no last good one.
func TestNothingIsShownThatCannotBePublished(t *testing.T) {
	m := switchedOn(trust.Loopback())
	m.full = errors.New("no space left on device")
	if err := m.Renew(); !errors.Is(err, trust.ErrNoCertificate) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("%v", err)
	}
	if _, err := m.TLS().GetCertificate(nil); !errors.Is(err, trust.ErrNoCertificate) {
		t.Errorf("a handshake: %v", err)
	}
}

// Strangers make handshakes: they must not make the service try for ever.
func TestHandshakesDoNotHammerAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		broken := trust.NewServerCertificate(trust.ServerConfig{
			Source: trust.Loopback(), Log: quiet(),
			Publish: func([]byte) error { tries++; return errors.New("no space left on device") },
		})
		for range 1000 {
			if _, err := broken.TLS().GetCertificate(nil); err == nil {
				t.Fatal("something is shown")
			}
			time.Sleep(10 * time.Millisecond)
		}
		if tries < 5 || tries > 12 {
			t.Errorf("in 10 s, 1000 handshakes made %d tries", tries)
		}
	})
}

// Months go by; nobody connects.
func TestRunRenewsByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var file atomic.Pointer[[]byte]
		started := time.Now()
		certificate := trust.NewServerCertificate(trust.ServerConfig{
			Source: trust.Loopback(), Log: quiet(),
			Publish: func(anchors []byte) error { file.Store(&anchors); return nil },
		})
		if err := certificate.Renew(); err != nil {
			t.Fatal(err)
		}
		var running sync.WaitGroup
		running.Go(func() { certificate.Run(ctx) })
		at := func(age time.Duration) []*x509.Certificate {
			time.Sleep(time.Until(started.Add(age)))
			synctest.Wait()
			return anchors(t, *file.Load())
		}
		first := at(29 * day)
		during := at(30*day + 30*time.Second)
		after := at(30*day + 5*time.Minute)
		if len(first) != 2 || len(during) != 3 || len(after) != 2 {
			t.Fatalf("anchors before, during and after a change: %d, %d, %d; expected 2, 3, 2", len(first), len(during), len(after))
		}
		if !after[0].Equal(first[1]) {
			t.Error("what follows is not what was announced")
		}
		for month := range 6 {
			now := at(time.Duration(month+1)*30*day + time.Hour)
			if len(now) != 2 || now[0].NotAfter.Before(time.Now().Add(30*day)) {
				t.Errorf("month %d: %d anchors, the first until %s", month+1, len(now), now[0].NotAfter)
			}
		}
		cancel()
		running.Wait()
	})
}

// What a connection was made with is enough for it, whatever comes after.
func TestConnectionsGoOn(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	listener, err := tls.Listen("tcp", "127.0.0.1:0", m.TLS())
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	dial := func() *tls.Conn {
		conn, err := tls.Dial("tcp", listener.Addr().String(), client(t, m.file, "localhost", m.time))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	echo := func(conn *tls.Conn) {
		t.Helper()
		if _, err := conn.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	before := dial()
	echo(before)
	m.time = m.time.Add(31 * day)
	after := dial()
	echo(after)
	echo(before)
	if before.ConnectionState().PeerCertificates[0].Equal(after.ConnectionState().PeerCertificates[0]) {
		t.Error("nothing was renewed")
	}
}

func TestVersions(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	for version, want := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		c := client(t, m.file, "127.0.0.1", m.time)
		c.MinVersion, c.MaxVersion = version, version
		state, err := handshake(t, m.TLS(), c)
		if got := err == nil; got != want || want && state.Version != version {
			t.Errorf("%s: accepted %v, want %v (%v)", tls.VersionName(version), got, want, err)
		}
	}
}

// Of TLS 1.2 only what RFC 9325 recommends.
func TestCipherSuites(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	accepted := 0
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if len(suite.SupportedVersions) == 1 && suite.SupportedVersions[0] == tls.VersionTLS13 {
			continue
		}
		c := client(t, m.file, "localhost", m.time)
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite.ID}
		_, err := handshake(t, m.TLS(), c)
		modern := strings.Contains(suite.Name, "_GCM_") || strings.Contains(suite.Name, "POLY1305")
		if want := modern && strings.HasPrefix(suite.Name, "TLS_ECDHE_ECDSA_"); (err == nil) != want {
			t.Errorf("%s: accepted %v, want %v", suite.Name, err == nil, want)
		}
		if err == nil {
			accepted++
		}
	}
	if accepted != 3 {
		t.Errorf("%d suites, expected 3 with an ECDSA key", accepted)
	}
}

// A session outlives neither the certificate nor what a client has proved
// (CVE-2025-68121): there are none.
func TestSessionsAreNotResumed(t *testing.T) {
	m := newMachine(t, trust.Loopback())
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		listener, err := tls.Listen("tcp", "127.0.0.1:0", m.TLS())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				conn.Write([]byte("x")) // tickets of TLS 1.3 come with the first data
				conn.Close()
			}
		}()
		c := client(t, m.file, "localhost", m.time)
		c.MinVersion, c.MaxVersion = version, version
		c.ClientSessionCache = tls.NewLRUClientSessionCache(8)
		for range 3 {
			conn, err := tls.Dial("tcp", listener.Addr().String(), c)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(conn); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Fatal(err)
			}
			if conn.ConnectionState().DidResume {
				t.Errorf("%s: a session was resumed", tls.VersionName(version))
			}
			conn.Close()
		}
		listener.Close()
	}
}

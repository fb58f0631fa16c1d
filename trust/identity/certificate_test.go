package identity_test

import (
	"bufio"
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/trust/identity"
)

// openssl runs openssl(1) in dir.
func openssl(tb testing.TB, dir string, args ...string) string {
	tb.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		tb.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func write(tb testing.TB, dir, name string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func read(tb testing.TB, dir, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func stores(tb testing.TB) map[string]identity.Config {
	tb.Helper()
	return map[string]identity.Config{"TPM": inTPM(tb), "file": inFile(tb)}
}

// A CA that is not ours reads the request, issues a certificate, and that is
// what the machine shows from then on.
func TestEnrolWithOpenSSL(t *testing.T) {
	for name, c := range stores(t) {
		t.Run(name, func(t *testing.T) {
			i := open(t, c)
			request, err := i.Request()
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			write(t, dir, "request.pem", request)
			text := openssl(t, dir, "req", "-in", "request.pem", "-verify", "-noout", "-text")
			for _, want := range []string{"verify OK", "CN = host.example", "key assurance: " + string(i.Assurance()), "ecdsa-with-SHA256", "URI:urn:kpm:machine:" + i.KeyID()} {
				if !strings.Contains(text, want) {
					t.Errorf("the request lacks %q:\n%s", want, text)
				}
			}
			write(t, dir, "public.pem", i.PublicKeyPEM())
			if der := openssl(t, dir, "req", "-in", "request.pem", "-noout", "-pubkey"); der != string(i.PublicKeyPEM()) {
				t.Errorf("the request is for %s", der)
			}

			openssl(t, dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
				"-out", "ca.pem", "-subj", "/CN=Backend CA", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")
			write(t, dir, "extensions", []byte("extendedKeyUsage=clientAuth\nkeyUsage=critical,digitalSignature\n"))
			openssl(t, dir, "x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
				"-days", "20", "-extfile", "extensions", "-out", "issued.pem")
			if err := identity.Install(t.Context(), c, append(read(t, dir, "issued.pem"), read(t, dir, "ca.pem")...)); err != nil {
				t.Fatal(err)
			}
			issued := open(t, c)
			if issued.KeyID() != i.KeyID() {
				t.Error("another key")
			}
			shown := issued.ClientCertificate()
			if len(shown.Certificate) != 2 || shown.Leaf.Issuer.CommonName != "Backend CA" {
				t.Errorf("%d certificates, the first from %s", len(shown.Certificate), shown.Leaf.Issuer)
			}
			s := inspect(t, c)
			if s.State != identity.Ready || !s.Certificate.Issued || s.Certificate.Issuer != "CN=Backend CA" || s.Certificate.DaysLeft != 19 || len(s.Problems) != 0 {
				t.Errorf("%+v, %+v", s, s.Certificate)
			}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(read(t, dir, "ca.pem"))
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				if got := handshake(t, issued, pool, version); got != i.KeyID() {
					t.Errorf("%s: the backend sees %s", tls.VersionName(version), got)
				}
			}
			if err := identity.Rotate(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if s := inspect(t, c); s.Certificate.Issued {
				t.Error("the certificate of the old key is still in force")
			}
		})
	}
}

// server is a backend that asks for a client certificate of pool's, at one
// version of TLS.
func server(tb testing.TB, pool *x509.CertPool, version uint16) (address string, roots *x509.CertPool, seen <-chan string) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	own, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(own)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool, MinVersion: version, MaxVersion: version,
		SessionTicketsDisabled: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	ids := make(chan string)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			tlsConn := conn.(*tls.Conn)
			id := ""
			if err := tlsConn.Handshake(); err == nil {
				id, _ = identity.KeyID(tlsConn.ConnectionState().PeerCertificates[0].PublicKey.(*ecdsa.PublicKey))
			} else {
				id = err.Error()
			}
			conn.Close()
			ids <- id
		}
	}()
	tb.Cleanup(func() {
		listener.Close()
		<-done
	})
	return listener.Addr().String(), roots, ids
}

func connect(tb testing.TB, i *identity.Identity, address string, roots *x509.CertPool) {
	tb.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{i.ClientCertificate()}})
	if err != nil {
		tb.Fatal(err)
	}
	_, _ = conn.Read(make([]byte, 1)) // until the server has seen the certificate
	conn.Close()
}

func handshake(tb testing.TB, i *identity.Identity, pool *x509.CertPool, version uint16) string {
	tb.Helper()
	address, roots, seen := server(tb, pool, version)
	connect(tb, i, address, roots)
	return <-seen
}

// Without a CA a backend can still know the machine by its key.
func TestTheCertificateThatTheMachineSigns(t *testing.T) {
	for name, c := range stores(t) {
		i := open(t, c)
		leaf := i.ClientCertificate().Leaf
		if err := leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature || len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth ||
			len(leaf.URIs) != 1 || leaf.URIs[0].String() != "urn:kpm:machine:"+i.KeyID() {
			t.Errorf("%s: CA %v, usage %v %v, names %v", name, leaf.IsCA, leaf.KeyUsage, leaf.ExtKeyUsage, leaf.URIs)
		}
		pool := x509.NewCertPool()
		pool.AddCert(leaf)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if got := handshake(t, i, pool, version); got != i.KeyID() {
				t.Errorf("%s: %s: the backend sees %s", name, tls.VersionName(version), got)
			}
		}
	}
}

// A TLS 1.2 server may prefer digests that a P-256 key in a TPM cannot sign. It
// is openssl, and another TLS than ours.
func TestAServerThatPrefersSHA384(t *testing.T) {
	for name, c := range stores(t) {
		t.Run(name, func(t *testing.T) {
			i := open(t, c)
			dir := t.TempDir()
			openssl(t, dir, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "server.pem",
				"-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
			write(t, dir, "client.pem", chain(i.ClientCertificate().Leaf))
			cmd := exec.Command("openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-cert", "server.pem", "-key", "key.pem",
				"-tls1_2", "-Verify", "1", "-CAfile", "client.pem", "-verify_return_error", "-partial_chain", "-client_sigalgs", "ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA256")
			cmd.Dir = dir
			stdin, err := cmd.StdinPipe() // at its end the server ends
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			var diag bytes.Buffer
			cmd.Stderr = &diag
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
			lines := bufio.NewScanner(out)
			address := ""
			for lines.Scan() {
				var found bool
				if address, found = strings.CutPrefix(lines.Text(), "ACCEPT "); found {
					break
				}
			}
			roots := x509.NewCertPool()
			roots.AppendCertsFromPEM(read(t, dir, "server.pem"))
			conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{i.ClientCertificate()}})
			if err != nil {
				_ = cmd.Wait()
				t.Fatalf("%v\n%s", err, diag.Bytes())
			}
			defer conn.Close()
			if got := conn.ConnectionState().Version; got != tls.VersionTLS12 {
				t.Errorf("%s", tls.VersionName(got))
			}
			if _, err := conn.Write([]byte("hello\n")); err != nil {
				t.Error(err)
			}
			for lines.Scan() {
				if strings.Contains(lines.Text(), "Client Certificate") || strings.Contains(lines.Text(), "hello") {
					return
				}
			}
			t.Error("the server does not hear us")
		})
	}
}

// issuer makes certificates with everything wrong that can be.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newIssuer(t *testing.T, parent *issuer) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	i := &issuer{template, key}
	if parent == nil {
		parent = i
	}
	i.certificate = issue(t, parent, template, key.Public())
	return i
}

func issue(t *testing.T, by *issuer, template *x509.Certificate, public crypto.PublicKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, public, by.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func chain(certificates ...*x509.Certificate) []byte {
	var text []byte
	for _, c := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return text
}

func TestCertificatesThatAreNotInstalled(t *testing.T) {
	c := inFile(t)
	i := open(t, c)
	public := i.Signer().Public()
	root := newIssuer(t, nil)
	below := newIssuer(t, root)
	stranger := newIssuer(t, nil)
	leaf := func(by *issuer, change func(*x509.Certificate)) *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "host.example"}, BasicConstraintsValid: true,
			NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
		change(template)
		return issue(t, by, template, public)
	}
	good := leaf(below, func(*x509.Certificate) {})
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherDER, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	many := []*x509.Certificate{good}
	for range 8 {
		many = append(many, root.certificate)
	}
	for name, text := range map[string][]byte{
		"nothing":       nil,
		"no PEM":        []byte("hello"),
		"broken":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Raw[:100]}),
		"huge":          bytes.Repeat([]byte("\n"), 1<<20),
		"a private key": append(chain(good), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: otherDER})...),
		"for another key": chain(issue(t, root, &x509.Certificate{SerialNumber: big.NewInt(4), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, other.Public())),
		"root first":   chain(root.certificate, good),
		"link missing": chain(good, root.certificate),
		"wrong CA":     chain(good, stranger.certificate),
		"too long":     chain(many...),
		"expired":      chain(leaf(root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })),
		"not yet":      chain(leaf(root, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) })),
		"a CA":         chain(leaf(root, func(c *x509.Certificate) { c.IsCA = true })),
		"for servers":  chain(leaf(root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })),
		"for anything": chain(leaf(root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} })),
		"no usage":     chain(leaf(root, func(c *x509.Certificate) { c.ExtKeyUsage = nil })),
		"encryption":   chain(leaf(root, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement })),
		"critical": chain(leaf(root, func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
		})),
		"a request":    must(i.Request()),
		"a public key": i.PublicKeyPEM(),
		"forged":       forged(good),
	} {
		if name == "forged" { // the chain up to its CA shows it
			text = append(text, chain(below.certificate, root.certificate)...)
		}
		if err := identity.Install(t.Context(), c, text); err == nil {
			t.Errorf("%s: installed", name)
		}
		if s := inspect(t, c); s.Certificate.Issued || s.State != identity.Ready {
			t.Fatalf("%s: %+v", name, s)
		}
	}
	for name, text := range map[string][]byte{
		"alone": chain(good), "with its CA": chain(good, below.certificate), "to the root": chain(good, below.certificate, root.certificate),
	} {
		if err := identity.Install(t.Context(), c, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// forged is a certificate whose signature is not its issuer's.
func forged(c *x509.Certificate) []byte {
	der := bytes.Clone(c.Raw)
	der[len(der)-1] ^= 1
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestACertificateThatEnds(t *testing.T) {
	c := inFile(t)
	i := open(t, c)
	root := newIssuer(t, nil)
	soon := issue(t, root, &x509.Certificate{
		SerialNumber: big.NewInt(3), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(50 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, i.Signer().Public())
	if err := identity.Install(t.Context(), c, chain(soon)); err != nil {
		t.Fatal(err)
	}
	s := inspect(t, c)
	if s.State != identity.Ready || s.Certificate.DaysLeft != 2 || len(s.Problems) != 1 || !strings.Contains(s.Problems[0], "expires on") {
		t.Errorf("%+v, %+v", s, s.Certificate)
	}
}

func BenchmarkDeviceHandshake(b *testing.B) {
	i := open(b, inTPM(b))
	benchmarkHandshake(b, i)
}

func BenchmarkHandshakeWithAFile(b *testing.B) { benchmarkHandshake(b, open(b, inFile(b))) }

func benchmarkHandshake(b *testing.B, i *identity.Identity) {
	pool := x509.NewCertPool()
	pool.AddCert(i.ClientCertificate().Leaf)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b.Run(fmt.Sprint(tls.VersionName(version)), func(b *testing.B) {
			address, roots, seen := server(b, pool, version)
			for b.Loop() {
				connect(b, i, address, roots)
				if got := <-seen; got != i.KeyID() {
					b.Fatal(got)
				}
			}
		})
	}
}

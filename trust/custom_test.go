package trust_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust"
)

// owner is whoever replaces certificate files.
type owner struct {
	dir     string
	private error // what Private answers
}

func (o *owner) source() trust.Source {
	return trust.Files(trust.CertificateFiles{
		Certificate: filepath.Join(o.dir, "cert.pem"), Key: filepath.Join(o.dir, "key.pem"),
		Open: os.Open, Private: func(*os.File) error { return o.private },
	})
}

func (o *owner) put(t testing.TB, chain, key []byte) {
	t.Helper()
	write(t, filepath.Join(o.dir, "cert.pem"), chain)
	write(t, filepath.Join(o.dir, "key.pem"), key)
}

func TestACertificateOfOnesOwn(t *testing.T) {
	root := issue(t, nil, "Root", isCA)
	middle := issue(t, root, "Middle", isCA)
	leaf := issue(t, middle, "localhost", forServers)
	alone := issue(t, nil, "localhost", forServers)
	for _, tc := range []struct {
		what   string
		leaf   *issued
		chain  []byte
		anchor *issued
	}{
		{"a chain", leaf, chainPEM(leaf, middle, root), root},
		{"a chain with comments", leaf, append([]byte("Certificate:\n    Data: ...\n"), chainPEM(leaf, middle, root)...), root},
		{"self-signed", alone, chainPEM(alone), alone},
	} {
		o := &owner{dir: t.TempDir()}
		o.put(t, tc.chain, tc.leaf.keyPEM(t))
		m := newMachine(t, o.source())
		if !shownLeaf(t, m.TLS()).Equal(tc.leaf.Certificate) {
			t.Errorf("%s: another one is shown", tc.what)
		}
		if list := anchors(t, m.file); len(list) != 1 || !list[0].Equal(tc.anchor.Certificate) {
			t.Errorf("%s: clients are given %d anchors, expected %s", tc.what, len(list), tc.anchor.Subject)
		}
		for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
			if err := m.accepts(t, name, m.file); err != nil {
				t.Errorf("%s: %s: %v", tc.what, name, err)
			}
		}
		if strings.Contains(m.log.String(), "WARN") {
			t.Errorf("%s: %s", tc.what, m.log.String())
		}
	}
}

// What keys and certificates look like when openssl has made them.
func TestKeysOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	openssl(t, dir, "ecparam", "-name", "prime256v1", "-genkey", "-out", "ec.pem") // with EC PARAMETERS
	openssl(t, dir, "pkcs8", "-topk8", "-nocrypt", "-in", "ec.pem", "-out", "pkcs8.pem")
	openssl(t, dir, "genrsa", "-traditional", "-out", "rsa.pem", "2048")
	openssl(t, dir, "genpkey", "-algorithm", "ed25519", "-out", "ed25519.pem")
	openssl(t, dir, "genpkey", "-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "p384.pem")
	openssl(t, dir, "ec", "-in", "ec.pem", "-aes128", "-passout", "pass:x", "-out", "encrypted-sec1.pem")
	openssl(t, dir, "pkcs8", "-topk8", "-passout", "pass:x", "-in", "ec.pem", "-out", "encrypted-pkcs8.pem")
	openssl(t, dir, "pkey", "-in", "ec.pem", "-pubout", "-out", "public.pem")
	openssl(t, dir, "pkey", "-in", "ec.pem", "-outform", "der", "-out", "der.pem")
	openssl(t, dir, "ecparam", "-name", "secp224r1", "-genkey", "-noout", "-out", "p224.pem")
	openssl(t, dir, "ecparam", "-name", "secp256k1", "-genkey", "-noout", "-out", "k256.pem")
	openssl(t, dir, "genrsa", "-out", "rsa1024.pem", "1024")
	certificate := func(key string) []byte {
		openssl(t, dir, "req", "-x509", "-key", key, "-out", "cert.pem", "-days", "30", "-subj", "/CN=localhost",
			"-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1", "-passin", "pass:x")
		return read(t, dir, "cert.pem")
	}
	for key, fault := range map[string]string{
		"ec.pem": "", "pkcs8.pem": "", "rsa.pem": "", "p384.pem": "", "ed25519.pem": "",
		"encrypted-sec1.pem": "encrypted", "encrypted-pkcs8.pem": "encrypted", "public.pem": "PUBLIC KEY",
		"der.pem": "openssl pkey -inform der", "p224.pem": "P-224", "k256.pem": "curve", "rsa1024.pem": "1024 bits",
	} {
		o := &owner{dir: t.TempDir()}
		made := key
		if key == "public.pem" || key == "der.pem" {
			made = "ec.pem"
		}
		o.put(t, certificate(made), read(t, dir, key))
		m := switchedOn(o.source())
		err := m.Renew()
		if fault == "" {
			if err == nil {
				err = m.accepts(t, "localhost", m.file)
			}
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
			continue
		}
		if !errors.Is(err, trust.ErrNoCertificate) || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, expected a fault with %q", key, err, fault)
		}
	}
}

// Each is refused, and says which setting, which file, what is wrong and what
// to do.
func TestWhatIsNotACertificateForListeners(t *testing.T) {
	root := issue(t, nil, "Root", isCA)
	leaf := issue(t, root, "localhost", forServers)
	other := issue(t, root, "localhost", forServers)
	stranger := issue(t, nil, "Stranger", isCA)
	notCA := issue(t, root, "No CA", forServers)
	below := issue(t, notCA, "localhost", forServers)
	weak := func() []byte { // valid by itself, but the key is too short
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	}
	key, chain := leaf.keyPEM(t), chainPEM(leaf, root)
	flipped := bytes.Clone(chain)
	flipped[200] ^= 2
	cut := chain[:len(chain)-60]
	for _, tc := range []struct {
		what       string
		chain, key []byte
		fault      string
	}{
		{"empty", nil, key, "nothing in PEM"},
		{"DER", leaf.Raw, key, "openssl x509 -inform der"},
		{"text", []byte("hello"), key, "nothing in PEM"},
		{"a chain cut short", cut, key, "damaged"},
		{"a begun block", append(bytes.Clone(chain), "-----BEGIN CERTIFICATE-----\n"...), key, "1 of its 3 PEM blocks are damaged"},
		{"a flipped character", flipped, key, ""},
		{"a key among certificates", append(bytes.Clone(chain), key...), key, "certificates only"},
		{"17 certificates", bytes.Repeat(chainPEM(leaf), 17), key, "at most 16"},
		{"more than 256 KiB", bytes.Repeat([]byte("x"), 256<<10+1), key, "more than 262144 bytes"},
		{"another certificate's key", chain, other.keyPEM(t), "private key is not that"},
		{"a key of another kind", chain, weak(), "private key is not that"},
		{"root first", chainPEM(root, leaf), key, "put the server's own certificate first"},
		{"two keys", chain, append(bytes.Clone(key), key...), "2 PEM blocks"},
		{"no key", chain, chain[:len(chainPEM(leaf))], "expected a private key"},
		{"a garbled key", chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("garbage")}), "Settings:CertificateKeyPath"},
		{"a chain to somewhere else", chainPEM(leaf, stranger), key, "clients would refuse"},
		{"a chain through no CA", chainPEM(below, notCA, root), below.keyPEM(t), "clients would refuse"},
		{"expired", chainOf(t, root, between(-48*3600e9, -3600e9)), nil, "expired on"},
		{"not valid yet", chainOf(t, root, between(3600e9, 48*3600e9)), nil, "set the clock"},
		{"a client's", chainOf(t, root, forClients), nil, "for TLS servers"},
		{"of an expired CA", chainOf(t, issue(t, nil, "Old", isCA, between(-48*3600e9, -3600e9)), forServers), nil, "expired"},
	} {
		o := &owner{dir: t.TempDir()}
		if tc.key == nil {
			tc.chain, tc.key, _ = bytes.Cut(tc.chain, []byte("#KEY#"))
		}
		o.put(t, tc.chain, tc.key)
		m := switchedOn(o.source())
		err := m.Renew()
		if !errors.Is(err, trust.ErrNoCertificate) || !strings.Contains(err.Error(), "Settings:Certificate") ||
			!strings.Contains(err.Error(), o.dir) || !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%s: %v, expected %q", tc.what, err, tc.fault)
		}
		if m.file != nil {
			t.Errorf("%s: clients are told to trust it", tc.what)
		}
		if _, err := m.TLS().GetCertificate(nil); err == nil {
			t.Errorf("%s: it is shown", tc.what)
		}
	}
}

// chainOf is a server's chain of two with something wrong, and its key.
func chainOf(t *testing.T, root *issued, wrong func(*x509.Certificate)) []byte {
	t.Helper()
	leaf := issue(t, root, "localhost", forServers, wrong)
	return append(append(chainPEM(leaf, root), "#KEY#"...), leaf.keyPEM(t)...)
}

func TestFilesThatOthersCanReachAreRefused(t *testing.T) {
	leaf := issue(t, nil, "localhost", forServers)
	o := &owner{dir: t.TempDir(), private: fmt.Errorf("mode 0644: %w", core.ErrNotProtected)}
	o.put(t, chainPEM(leaf), leaf.keyPEM(t))
	if err := switchedOn(o.source()).Renew(); !errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), "Settings:CertificateKeyPath") {
		t.Errorf("a key that others can read: %v", err)
	}
	for _, tc := range []struct{ lost, setting string }{{"cert.pem", "CertificatePath"}, {"key.pem", "CertificateKeyPath"}} {
		err := switchedOn(trust.Files(trust.CertificateFiles{
			Certificate: filepath.Join(o.dir, "cert.pem"), Key: filepath.Join(o.dir, "key.pem"),
			Open: func(path string) (*os.File, error) {
				if filepath.Base(path) == tc.lost {
					return nil, fmt.Errorf("%s: %w", path, core.ErrNotProtected)
				}
				return os.Open(path)
			},
			Private: func(*os.File) error { return nil },
		})).Renew()
		if !errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), "Settings:"+tc.setting+":") {
			t.Errorf("%s that others can change: %v", tc.lost, err)
		}
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	root := issue(t, nil, "Root", isCA)
	first, second := issue(t, root, "localhost", forServers), issue(t, root, "localhost", forServers)
	elsewhere := issue(t, nil, "localhost", forServers)
	o := &owner{dir: t.TempDir()}
	o.put(t, chainPEM(first, root), first.keyPEM(t))
	m := newMachine(t, o.source())
	file := m.file
	if err := m.Renew(); err != nil || !shownLeaf(t, m.TLS()).Equal(first.Certificate) {
		t.Fatalf("unchanged files: %v", err)
	}

	// The certificate comes first, the key a moment later.
	o.put(t, chainPEM(second, root), first.keyPEM(t))
	for range 2 {
		if err := m.Renew(); err != nil || !shownLeaf(t, m.TLS()).Equal(first.Certificate) {
			t.Errorf("half a change: %v, and another one is shown", err)
		}
	}
	if n := strings.Count(m.log.String(), "private key is not that"); n != 1 || !strings.Contains(m.log.String(), "last good certificate stays") {
		t.Errorf("half a change is spoken of %d times:\n%s", n, m.log.String())
	}
	o.put(t, chainPEM(second, root), second.keyPEM(t))
	if err := m.Renew(); err != nil || !shownLeaf(t, m.TLS()).Equal(second.Certificate) {
		t.Fatalf("the whole change: %v", err)
	}
	if err := m.accepts(t, "localhost", file); err != nil {
		t.Errorf("a client that trusts the same root: %v", err)
	}

	for what, breakIt := range map[string]func(){
		"gone":    func() { os.Remove(filepath.Join(o.dir, "cert.pem")) },
		"empty":   func() { o.put(t, nil, nil) },
		"garbage": func() { o.put(t, []byte("-----BEGIN CERTIFICATE-----"), second.keyPEM(t)) },
		"too old": func() {
			c := issue(t, root, "localhost", forServers, between(-48*3600e9, -3600e9))
			o.put(t, chainPEM(c, root), c.keyPEM(t))
		},
	} {
		breakIt()
		if err := m.Renew(); err != nil || !shownLeaf(t, m.TLS()).Equal(second.Certificate) {
			t.Errorf("%s: %v, and the last good one is not shown", what, err)
		}
	}

	o.put(t, chainPEM(elsewhere), elsewhere.keyPEM(t))
	if err := m.Renew(); err != nil {
		t.Fatal(err)
	}
	if list := anchors(t, m.file); len(list) != 2 || !list[0].Equal(elsewhere.Certificate) || !list[1].Equal(root.Certificate) {
		t.Errorf("while it changes, clients are given %d anchors, expected the new and the old one", len(list))
	}
	// Its time passes while nobody brings another.
	m.time = m.time.Add(17 * day)
	if err := m.Renew(); err != nil || !strings.Contains(m.log.String(), "ends soon") {
		t.Errorf("two weeks before its end: %v\n%s", err, m.log.String())
	}
	m.time = m.time.Add(14 * day)
	if err := m.Renew(); !errors.Is(err, trust.ErrNoCertificate) || !strings.Contains(err.Error(), "expired on") {
		t.Errorf("after its end: %v", err)
	}
	if _, err := m.TLS().GetCertificate(nil); err == nil {
		t.Error("an expired certificate is shown")
	}
}

func TestShortcomingsAreSpokenOf(t *testing.T) {
	root := issue(t, nil, "Root", isCA)
	for _, tc := range []struct {
		what   string
		names  func(*x509.Certificate)
		chain  bool
		speaks []string
	}{
		{"another name", func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = []string{"pc1.example"}, nil }, true, []string{"localhost 127.0.0.1 ::1"}},
		{"no addresses", func(c *x509.Certificate) { c.IPAddresses = nil }, true, []string{"127.0.0.1 ::1"}},
		{"no root", func(*x509.Certificate) {}, false, []string{"append the missing CAs"}},
	} {
		leaf := issue(t, root, "localhost", forServers, tc.names)
		chain := chainPEM(leaf)
		if tc.chain {
			chain = chainPEM(leaf, root)
		}
		o := &owner{dir: t.TempDir()}
		o.put(t, chain, leaf.keyPEM(t))
		m := newMachine(t, o.source())
		for _, text := range tc.speaks {
			if !strings.Contains(m.log.String(), text) {
				t.Errorf("%s: the log does not say %q:\n%s", tc.what, text, m.log.String())
			}
		}
	}
}

// store is an operating system's.
type store struct {
	chain []*x509.Certificate
	key   crypto.Signer
	err   error
	asked string
}

func (s *store) Certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	s.asked = thumbprint
	return s.chain, s.key, s.err
}

func TestACertificateOfTheSystemsStore(t *testing.T) {
	root := issue(t, nil, "Root", isCA)
	leaf := issue(t, root, "localhost", forServers)
	s := &store{chain: []*x509.Certificate{leaf.Certificate, root.Certificate}, key: leaf.key}
	m := newMachine(t, trust.FromStore(s, "aabb"))
	if err := m.accepts(t, "localhost", m.file); err != nil || s.asked != "aabb" {
		t.Errorf("asked for %q: %v", s.asked, err)
	}
	for what, tc := range map[string]struct {
		store *store
		says  string
	}{
		"a system without":   {&store{err: errors.ErrUnsupported}, "name files in Settings:CertificatePath"},
		"not found":          {&store{err: errors.New("no such certificate")}, "no such certificate"},
		"an empty answer":    {&store{chain: s.chain}, "no certificate with a key"},
		"another one's key":  {&store{chain: s.chain, key: root.key}, "private key is not that"},
		"a chain that fails": {&store{chain: []*x509.Certificate{leaf.Certificate, issue(t, nil, "Other", isCA).Certificate}, key: leaf.key}, "clients would refuse"},
	} {
		err := switchedOn(trust.FromStore(tc.store, "aabb")).Renew()
		if !errors.Is(err, trust.ErrNoCertificate) || !strings.Contains(err.Error(), "Settings:CertificateThumbprint") || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, expected %q", what, err, tc.says)
		}
	}
}

// Contradictory settings name nothing, and say so.
func TestNoSource(t *testing.T) {
	m := switchedOn(trust.NoSource(errors.New("remove one")))
	if err := m.Renew(); !errors.Is(err, trust.ErrNoCertificate) || !strings.Contains(err.Error(), "remove one") {
		t.Error(err)
	}
}

// Whatever lies in the files, the service goes on, and shows nothing that has
// not been judged.
func FuzzCertificateFiles(f *testing.F) {
	root := issue(f, nil, "Root", isCA)
	leaf := issue(f, root, "localhost", forServers)
	chain, key := chainPEM(leaf, root), leaf.keyPEM(f)
	for _, seed := range [][2][]byte{
		{chain, key}, {chainPEM(leaf), key}, {chain, nil}, {key, chain}, {leaf.Raw, key}, {chain[:300], key},
		{[]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"), key},
		{chain, []byte("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + string(key))},
		{bytes.Repeat([]byte("-----BEGIN "), 100), key},
	} {
		f.Add(seed[0], seed[1])
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		o := &owner{dir: dir}
		o.put(t, chain, key)
		m := switchedOn(o.source())
		err := m.Renew()
		shown, showErr := m.TLS().GetCertificate(nil)
		if (err == nil) != (showErr == nil) || (err == nil) != (m.file != nil) {
			t.Fatalf("renewed: %v; shown: %v; published: %q", err, showErr, m.file)
		}
		if err == nil && !bytes.Equal(shown.Certificate[0], leaf.Raw) && bytes.Contains(key, leaf.keyPEM(t)) {
			t.Fatalf("another certificate than the key's is shown")
		}
	})
}

package keychain

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"testing"
	"time"
)

// issue makes a certificate of a name, signed by another one, or by itself.
func issue(t *testing.T, name string, public crypto.PublicKey, by *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	if by == nil {
		by = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, public, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestThumbprints(t *testing.T) {
	der := []byte("a certificate")
	for thumbprint, want := range map[string]bool{
		fmt.Sprintf("%x", sha1.Sum(der)): true, fmt.Sprintf("%x", sha256.Sum256(der)): true,
		fmt.Sprintf("%X", sha1.Sum(der)): false, fmt.Sprintf("%x", sha1.Sum(der[1:])): false, "": false,
	} {
		if Fits(der, thumbprint) != want {
			t.Errorf("%q: %t", thumbprint, !want)
		}
	}
}

// A chain goes up to the root, by signatures and not by names alone.
func TestChains(t *testing.T) {
	rootKey, middleKey, leafKey, otherKey := key(t), key(t), key(t), key(t)
	root := issue(t, "root", &rootKey.PublicKey, nil, rootKey)
	middle := issue(t, "middle", &middleKey.PublicKey, root, rootKey)
	leaf := issue(t, "leaf", &leafKey.PublicKey, middle, middleKey)
	namesake := issue(t, "middle", &otherKey.PublicKey, nil, otherKey)
	for what, tc := range map[string]struct {
		others []*x509.Certificate
		want   []*x509.Certificate
	}{
		"all":                      {[]*x509.Certificate{namesake, root, leaf, middle}, []*x509.Certificate{leaf, middle, root}},
		"the root is not there":    {[]*x509.Certificate{middle, namesake}, []*x509.Certificate{leaf, middle}},
		"a namesake of the issuer": {[]*x509.Certificate{namesake, root}, []*x509.Certificate{leaf}},
		"alone":                    {nil, []*x509.Certificate{leaf}},
	} {
		others := [][]byte{[]byte("what is no certificate")}
		for _, c := range tc.others {
			others = append(others, c.Raw)
		}
		chain, err := Chain(leaf.Raw, others)
		if err != nil || len(chain) != len(tc.want) {
			t.Errorf("%s: %d, %v, want %d", what, len(chain), err, len(tc.want))
			continue
		}
		for i := range chain {
			if !chain[i].Equal(tc.want[i]) {
				t.Errorf("%s: %d is %s, want %s", what, i, chain[i].Subject, tc.want[i].Subject)
			}
		}
	}
	if chain, err := Chain(root.Raw, nil); err != nil || len(chain) != 1 {
		t.Errorf("a root: %d, %v", len(chain), err)
	}
	// Two that have issued each other are no circle.
	a := issue(t, "a", &rootKey.PublicKey, &x509.Certificate{Subject: pkix.Name{CommonName: "b"}}, middleKey)
	b := issue(t, "b", &middleKey.PublicKey, &x509.Certificate{Subject: pkix.Name{CommonName: "a"}}, rootKey)
	if chain, err := Chain(a.Raw, [][]byte{b.Raw, a.Raw}); err != nil || len(chain) != maxChain {
		t.Errorf("a circle: %d, %v", len(chain), err)
	}
	if _, err := Chain([]byte("none"), nil); err == nil {
		t.Error("what is no certificate has a chain")
	}
}

func TestAlgorithms(t *testing.T) {
	ec, rs := &ecdsa.PublicKey{}, &rsa.PublicKey{}
	pss := func(salt int) *rsa.PSSOptions { return &rsa.PSSOptions{SaltLength: salt, Hash: crypto.SHA384} }
	for _, tc := range []struct {
		public crypto.PublicKey
		opts   crypto.SignerOpts
		size   int
		want   string // empty: refused
	}{
		{ec, crypto.SHA256, 32, "kSecKeyAlgorithmECDSASignatureDigestX962SHA256"},
		{ec, crypto.SHA512, 64, "kSecKeyAlgorithmECDSASignatureDigestX962SHA512"},
		{rs, crypto.SHA256, 32, "kSecKeyAlgorithmRSASignatureDigestPKCS1v15SHA256"},
		{rs, pss(rsa.PSSSaltLengthEqualsHash), 48, "kSecKeyAlgorithmRSASignatureDigestPSSSHA384"},
		{rs, pss(rsa.PSSSaltLengthAuto), 48, "kSecKeyAlgorithmRSASignatureDigestPSSSHA384"},
		{rs, pss(48), 48, "kSecKeyAlgorithmRSASignatureDigestPSSSHA384"},
		{rs, pss(20), 48, ""},
		{rs, crypto.SHA256, 48, ""},
		{rs, crypto.SHA1, 20, ""},
		{rs, crypto.Hash(0), 32, ""}, // the message itself
		{ed25519.PublicKey{}, crypto.SHA256, 32, ""},
	} {
		got, err := Algorithm(tc.public, make([]byte, tc.size), tc.opts)
		if got != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%T, %v, %d bytes: %q, %v, want %q", tc.public, tc.opts, tc.size, got, err, tc.want)
		}
	}
}

// refusing is a key that may not be used.
type refusing struct{ crypto.Signer }

var errRefused = errors.New("refused")

func (refusing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, errRefused }

// A key that is another's, or may not be used, is found out before a client does.
func TestProve(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range []crypto.Signer{key(t), rsaKey} {
		certificate := issue(t, "own", own.Public(), nil, own)
		if err := Prove(own, certificate); err != nil {
			t.Errorf("%T: %v", own, err)
		}
		if err := Prove(key(t), certificate); err == nil {
			t.Errorf("%T: another's key is taken", own)
		}
		if err := Prove(refusing{own}, certificate); !errors.Is(err, errRefused) {
			t.Errorf("%T: %v, want %v", own, err, errRefused)
		}
	}
}

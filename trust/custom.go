package trust

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"kpm/core/port"
	"os"
	"slices"
	"time"
)

// filesCheck is how often files are read again.
const filesCheck = 5 * time.Second

// CertificateFiles is a certificate of the machine's owner, in files.
type CertificateFiles struct {
	// Certificate is the path of the chain, leaf first, and Key that of the
	// leaf's private key. Both PEM.
	Certificate, Key string
	Open             Opener
	// Private reports nil when administrators alone can read the file.
	Private func(*os.File) error
}

// Files is the source of a certificate in files. They are read again and again,
// whole: no clock of the file system has to be right for a change to be seen.
// What is broken, does not fit together or is out of its time is an error, and
// whoever holds an older one goes on with that.
func Files(f CertificateFiles) Source { return files(f) }

type files CertificateFiles

func (files) every() time.Duration { return filesCheck }

func (f files) renew(now time.Time, shown *credential) (*credential, error) {
	chain, err := readPEM(f.Certificate, f.Open, nil)
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificatePath: %w", err)
	}
	key, err := readPEM(f.Key, f.Open, f.Private)
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificateKeyPath: %w", err)
	}
	parts := sha256.Sum256(chain)
	keyDigest := sha256.Sum256(key)
	digest := sha256.Sum256(append(parts[:], keyDigest[:]...))
	if shown != nil && shown.digest == digest && shown.current(now) {
		return shown, nil
	}
	certificates, err := parseCertificates(chain)
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificatePath: %s: %w", f.Certificate, err)
	}
	private, err := parseKey(key)
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificateKeyPath: %s: %w", f.Key, err)
	}
	c, err := judged(certificates, private, now)
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificatePath: %s: %w", f.Certificate, err)
	}
	c.digest = digest
	return c, nil
}

// NoSource is the source of a configuration that names none: err says why.
func NoSource(err error) Source { return noSource{err} }

type noSource struct{ error }

func (noSource) every() time.Duration { return time.Hour }

func (n noSource) renew(time.Time, *credential) (*credential, error) { return nil, n.error }

// FromStore is the source of a certificate in the operating system's store.
func FromStore(store port.CertificateStore, thumbprint string) Source {
	return stored{store, thumbprint}
}

type stored struct {
	store      port.CertificateStore
	thumbprint string
}

func (stored) every() time.Duration { return filesCheck }

func (s stored) renew(now time.Time, shown *credential) (*credential, error) {
	if shown.current(now) {
		return shown, nil // a thumbprint names one certificate for ever
	}
	chain, key, err := s.store.Certificate(s.thumbprint)
	if errors.Is(err, errors.ErrUnsupported) {
		return nil, fmt.Errorf("Settings:CertificateThumbprint is %s, and this system has no certificate store that the service can use; name files in Settings:CertificatePath and Settings:CertificateKeyPath instead: %w", s.thumbprint, err)
	}
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificateThumbprint: %s: %w", s.thumbprint, err)
	}
	c, err := judged(chain, key, now)
	if err != nil {
		return nil, fmt.Errorf("Settings:CertificateThumbprint: %s: %w", s.thumbprint, err)
	}
	return c, nil
}

// judged is a chain, leaf first, and its key as listeners may show them now.
//
// Clients trust the last certificate of the chain, which should be the root:
// so they accept whatever its CA issues for a loopback name. Trusting the leaf
// alone would be narrower, but OpenSSL before 3 and whoever builds on it accept
// no anchor that is not self-signed.
func judged(chain []*x509.Certificate, key crypto.Signer, now time.Time) (*credential, error) {
	if len(chain) == 0 || key == nil {
		return nil, errors.New("no certificate with a key")
	}
	leaf, anchor := chain[0], chain[len(chain)-1]
	if public, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(key.Public()) {
		return nil, errors.New("the private key is not that of the first certificate; put the server's own certificate first, and give its key")
	}
	now = now.Round(0)
	switch {
	case now.After(leaf.NotAfter):
		return nil, fmt.Errorf("the certificate expired on %s; replace it", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return nil, fmt.Errorf("the certificate is valid from %s on, and it is %s by this machine's clock; set the clock or replace the certificate",
			leaf.NotBefore.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	// As a client would, which trusts nothing but what is published.
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(anchor)
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return nil, fmt.Errorf("clients would refuse the certificate; the file must hold the server's certificate, for TLS servers, then its CAs up to the root: %w", err)
	}
	c := &credential{
		certificate: tls.Certificate{PrivateKey: key, Leaf: leaf},
		anchor:      anchor,
		from:        leaf.NotBefore,
		until:       leaf.NotAfter,
	}
	for _, one := range chain {
		c.certificate.Certificate = append(c.certificate.Certificate, one.Raw)
	}
	c.warnings = shortcomings(leaf, anchor)
	return c, nil
}

// shortcomings are what some clients will stumble over.
func shortcomings(leaf, anchor *x509.Certificate) []string {
	var list []string
	missing := slices.DeleteFunc([]string{loopbackHost, "127.0.0.1", "::1"}, func(name string) bool {
		return leaf.VerifyHostname(name) == nil
	})
	if len(missing) > 0 {
		list = append(list, fmt.Sprintf("it does not name %v as subject alternative names: clients that verify fail there", missing))
	}
	if anchor.CheckSignature(anchor.SignatureAlgorithm, anchor.RawTBSCertificate, anchor.Signature) != nil {
		list = append(list, "its file does not end with the self-signed root: clients that need one fail; append the missing CAs")
	}
	return list
}

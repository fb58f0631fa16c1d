package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"slices"
	"time"
)

// A certificate that the machine signs itself says nothing that its key does
// not; it is there because TLS wants one, and is replaced when somebody issues
// one.
const (
	selfSignedBefore = time.Hour // clocks differ
	selfSignedAfter  = 10 * 365 * 24 * time.Hour
	maxChainPEM      = 64 << 10 // bytes
)

// subject names the machine and says where its key is. That is the machine's
// own word, here and in a certificate that a CA issues without asking for an
// attestation.
func (c Config) subject(r *record) (pkix.Name, error) {
	host := c.Host
	if host == "" {
		var err error
		if host, err = os.Hostname(); err != nil {
			return pkix.Name{}, fmt.Errorf("identity: %w", err)
		}
	}
	return pkix.Name{CommonName: host, OrganizationalUnit: []string{"key assurance: " + string(r.Assurance)}}, nil
}

// machineURI is the subject alternative name of every certificate for the key.
func machineURI(public *ecdsa.PublicKey) (*url.URL, error) {
	id, err := KeyID(public)
	return &url.URL{Scheme: "urn", Opaque: "kpm:machine:" + id}, err
}

func (c Config) selfSigned(signer crypto.Signer, r *record) ([]byte, error) {
	public := signer.Public().(*ecdsa.PublicKey)
	subject, err := c.subject(r)
	if err != nil {
		return nil, err
	}
	uri, err := machineURI(public)
	if err != nil {
		return nil, err
	}
	serial := make([]byte, 16)
	rand.Read(serial) // never fails (crypto/rand)
	serial[0] &= 0x7f // positive, RFC 5280, section 4.1.2.2
	template := &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               subject,
		NotBefore:             r.Made.Add(-selfSignedBefore),
		NotAfter:              r.Made.Add(selfSignedAfter),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		URIs:                  []*url.URL{uri},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		return nil, fmt.Errorf("identity: sign the certificate: %w", err)
	}
	return der, nil
}

// Request returns a certificate request for the machine key, PKCS #10 in PEM
// (RFC 2986), with the subject and the URI of the certificate that the machine
// signs itself.
func (i *Identity) Request() ([]byte, error) {
	subject, err := i.config.subject(i.record)
	if err != nil {
		return nil, err
	}
	uri, err := machineURI(i.public)
	if err != nil {
		return nil, err
	}
	template := &x509.CertificateRequest{Subject: subject, URIs: []*url.URL{uri}}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, i.signer)
	if err != nil {
		return nil, fmt.Errorf("identity: sign the request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// Install puts an issued certificate in force: PEM, the machine's first, each
// signed by the next. An Identity that is open keeps the one it has.
//
// Whether the issuer is the right one is for the administrator to know, and for
// the backend to check.
func Install(ctx context.Context, c Config, chainPEM []byte) error {
	chain, err := readChain(chainPEM)
	if err != nil {
		return fmt.Errorf("identity: certificate: %w", err)
	}
	return c.change(func() error {
		r, err := c.read()
		if err != nil {
			return err
		}
		public, err := r.public()
		if err != nil {
			return fmt.Errorf("identity: %w: %w", ErrDamaged, err)
		}
		if err := usable(chain, public, time.Now()); err != nil {
			return fmt.Errorf("identity: certificate: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
		r.Chain, r.Issued = nil, true
		for _, certificate := range chain {
			r.Chain = append(r.Chain, certificate.Raw)
		}
		return c.write(r)
	})
}

func readChain(text []byte) ([]*x509.Certificate, error) {
	if len(text) > maxChainPEM {
		return nil, fmt.Errorf("%d bytes, expected at most %d", len(text), maxChainPEM)
	}
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the file also holds a %s, expected certificates alone", block.Type)
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, errors.New("no PEM certificate was found")
	}
	return parseChain(chain)
}

// usable reports nil if chain is a client certificate for the machine key that
// is valid now.
func usable(chain []*x509.Certificate, public *ecdsa.PublicKey, now time.Time) error {
	leaf := chain[0]
	switch {
	case !public.Equal(leaf.PublicKey):
		return errors.New("it is for another key than the machine's; the machine's own certificate must come first")
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it is not valid before %s", leaf.NotBefore.Format(time.RFC3339))
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it expired on %s", leaf.NotAfter.Format(time.RFC3339))
	case leaf.IsCA:
		return errors.New("it is a CA's")
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return errors.New("it is not for client authentication (extended key usage clientAuth)")
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return errors.New("it is not for signatures (key usage digitalSignature)")
	case len(leaf.UnhandledCriticalExtensions) > 0:
		return fmt.Errorf("it has critical extensions that nobody knows: %v", leaf.UnhandledCriticalExtensions)
	}
	for i := range chain[1:] {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			return fmt.Errorf("certificate %d is not signed by the next one: %w", i+1, err)
		}
	}
	return nil
}

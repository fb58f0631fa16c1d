package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNoClientCertificate means that a connection came without one.
var ErrNoClientCertificate = errors.New("no client certificate was shown")

// ClientAuthority is the CA of administrators' client certificates
// (decision 10). Its zero value accepts none.
type ClientAuthority struct {
	roots *x509.CertPool
	fault error // why there are no roots
}

// LoadClientAuthority reads the PEM file at path, one CA or several. If that
// fails the result, which is never nil, accepts no certificate: a requirement
// that cannot be checked is not met.
func LoadClientAuthority(path string, open Opener) (*ClientAuthority, error) {
	a := &ClientAuthority{roots: x509.NewCertPool()}
	if a.fault = a.load(path, open); a.fault != nil {
		a.fault = fmt.Errorf("Settings:ClientCertificateAuthority: %w", a.fault)
	}
	return a, a.fault
}

func (a *ClientAuthority) load(path string, open Opener) error {
	data, err := readPEM(path, open, nil)
	if err != nil {
		return err
	}
	list, err := parseCertificates(data)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, c := range list {
		// Attack: a certificate that is no CA becomes a root, and whoever has
		// it is in without the CA ever having said so.
		if !c.BasicConstraintsValid || !c.IsCA || c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0 {
			return fmt.Errorf("%s: %s is not the certificate of a CA", path, c.Subject)
		}
	}
	for _, c := range list {
		a.roots.AddCert(c)
	}
	return nil
}

// Ask makes a server's configuration ask for client certificates. Clients may
// come without; one that is shown and does not verify ends the handshake.
//
// ClientCAs is never nil: crypto/tls would ask the system's roots instead, and
// every CA of the world could make administrators.
func (a *ClientAuthority) Ask(config *tls.Config) {
	config.ClientAuth = tls.VerifyClientCertIfGiven
	config.ClientCAs = a.pool()
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return nil
		}
		return a.Verify(&state)
	}
}

func (a *ClientAuthority) pool() *x509.CertPool {
	if a.roots == nil {
		return x509.NewCertPool()
	}
	return a.roots
}

// Verify reports nil if the connection came with a certificate that this CA, or
// one below it, has issued to a TLS client and that is valid now. state is nil
// on connections without TLS. It is asked at each request: a connection does
// not outlive its certificate. Revocation is not looked at; give such
// certificates short lives.
func (a *ClientAuthority) Verify(state *tls.ConnectionState) error {
	switch {
	case a.fault != nil:
		return fmt.Errorf("trust: no client certificate can be accepted: %w", a.fault)
	case state == nil || len(state.PeerCertificates) == 0:
		return fmt.Errorf("trust: %w", ErrNoClientCertificate)
	}
	leaf := state.PeerCertificates[0]
	switch {
	case leaf.IsCA:
		return errors.New("trust: client certificate: it is that of a CA")
	// One without the extension could be anything: a server's of the same CA.
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return errors.New("trust: client certificate: it was not issued to TLS clients (extended key usage clientAuth)")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: a.pool(), Intermediates: between, CurrentTime: time.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return fmt.Errorf("trust: client certificate: %w", err)
	}
	return nil
}

package trust

import (
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
	"time"
)

// The certificate lives exactly as long as the process that holds its key, so
// a long validity costs nothing; the past half covers clocks that are set back
// while the service runs. Rotation within one run is to come.
const (
	validBefore = 365 * 24 * time.Hour
	validAfter  = 10 * 365 * 24 * time.Hour
)

// loopbackHost and loopbackIPs are all the names that the certificate speaks
// for (decision 17).
const loopbackHost = "localhost"

func loopbackIPs() []net.IP {
	return []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
}

// Loopback is the identity of this run's TLS listeners: a leaf certificate for
// localhost, 127.0.0.1 and ::1, and the CA that signed it. Both are new at
// every start and neither key ever leaves memory. The CA's key is dropped as
// soon as the leaf is signed, and the CA is constrained to the loopback names:
// whoever trusts it trusts this one certificate and nothing else.
type Loopback struct {
	leaf tls.Certificate
	ca   []byte // PEM
}

// NewLoopback makes a CA and a leaf, both ECDSA P-256, valid from a year
// before now to ten years after it.
func NewLoopback(now time.Time) (*Loopback, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("trust: loopback CA key: %w", err)
	}
	caTemplate := template(now, "KeeperPrivilegeManager loopback CA")
	caTemplate.IsCA = true
	caTemplate.MaxPathLenZero = true
	caTemplate.KeyUsage = x509.KeyUsageCertSign
	caTemplate.PermittedDNSDomainsCritical = true
	caTemplate.PermittedDNSDomains = []string{loopbackHost}
	for _, ip := range loopbackIPs() {
		whole := len(ip) * 8
		caTemplate.PermittedIPRanges = append(caTemplate.PermittedIPRanges,
			&net.IPNet{IP: ip, Mask: net.CIDRMask(whole, whole)})
	}
	caDER, err := x509.CreateCertificate(rand.Reader, caTemplate, caTemplate, caKey.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("trust: loopback CA: %w", err)
	}
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		return nil, fmt.Errorf("trust: loopback CA: %w", err)
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("trust: loopback key: %w", err)
	}
	leafTemplate := template(now, loopbackHost)
	leafTemplate.KeyUsage = x509.KeyUsageDigitalSignature
	leafTemplate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafTemplate.DNSNames = []string{loopbackHost}
	leafTemplate.IPAddresses = loopbackIPs()
	leafDER, err := x509.CreateCertificate(rand.Reader, leafTemplate, ca, key.Public(), caKey)
	if err != nil {
		return nil, fmt.Errorf("trust: loopback certificate: %w", err)
	}
	return &Loopback{
		leaf: tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key},
		ca:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}),
	}, nil
}

func template(now time.Time, name string) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial) // never fails (crypto/rand)
	serial[0] &= 0x7f // positive, RFC 5280, section 4.1.2.2
	return &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-validBefore),
		NotAfter:              now.Add(validAfter),
		BasicConstraintsValid: true,
	}
}

// ServerTLS returns a fresh configuration for a listener: TLS 1.2 and 1.3. The
// caller chooses NextProtos.
func (l *Loopback) ServerTLS() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{l.leaf},
		MinVersion:   tls.VersionTLS12,
		MaxVersion:   tls.VersionTLS13,
	}
}

// CAPEM returns the CA's certificate, for run/ca.pem. It holds no secret.
func (l *Loopback) CAPEM() []byte { return append([]byte(nil), l.ca...) }

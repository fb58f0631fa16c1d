package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"time"
)

// How long a loopback certificate is shown and valid. Each is published one
// period before it is shown, so a client that has read run/ca.pem once verifies
// for at least a period, and up to two. The validity goes on for one more: a
// clock may jump by that much and clients notice nothing. The past half covers
// clocks that are set back. All in all it stays below the 825 days that macOS
// accepts of any TLS server (Apple support article 103769).
const (
	loopbackPeriod = 30 * 24 * time.Hour
	loopbackBefore = 365 * 24 * time.Hour
	// loopbackMargin is how near to the beginning of its validity a
	// certificate is no longer shown: clients' clocks are this machine's, but
	// the clock may be on its way back.
	loopbackMargin = 24 * time.Hour
	// loopbackCheck is how often it is looked whether it is time. Handshakes
	// look too.
	loopbackCheck = 2 * time.Minute
)

// loopbackHost and loopbackIPs are all the names that the certificate speaks
// for (decision 17).
const loopbackHost = "localhost"

func loopbackIPs() []net.IP {
	return []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
}

// Loopback is the source of certificates that this run makes for itself: a leaf
// for localhost, 127.0.0.1 and ::1, and the CA that signed it. Both are new at
// every start and every period, and neither key ever leaves memory. The CA's
// key is dropped as soon as the leaf is signed, and the CA is constrained to
// the loopback names: whoever trusts it trusts this one certificate and nothing
// else.
func Loopback() Source { return loopback{} }

type loopback struct{}

func (loopback) every() time.Duration { return loopbackCheck }

// renew replaces shown by the successor that clients know already. If the clock
// has jumped past that one as well, clients have to read run/ca.pem again: what
// they know has expired by their clock too.
func (loopback) renew(now time.Time, shown *credential) (*credential, error) {
	if shown.current(now) {
		return shown, nil
	}
	var next *credential
	if shown != nil {
		next = shown.next
	}
	if !next.current(now) {
		var err error
		if next, err = mint(now, now.Add(loopbackPeriod)); err != nil {
			return nil, err
		}
	}
	after, err := mint(now, next.until.Add(loopbackPeriod))
	if err != nil {
		return nil, err
	}
	renewed := *next
	renewed.next = after
	return &renewed, nil
}

// mint makes a CA and a leaf, both ECDSA P-256, to be shown until until and
// valid for a period longer.
func mint(now, until time.Time) (*credential, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("loopback CA key: %w", err)
	}
	serial := newSerial()
	// A name of its own: clients that look issuers up by name find one.
	caTemplate := template(serial, now, until, "KeeperPrivilegeManager loopback CA "+hex.EncodeToString(serial[:4]))
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
	ca, err := sign(caTemplate, caTemplate, caKey, caKey)
	if err != nil {
		return nil, fmt.Errorf("loopback CA: %w", err)
	}

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("loopback key: %w", err)
	}
	leafTemplate := template(newSerial(), now, until, loopbackHost)
	leafTemplate.KeyUsage = x509.KeyUsageDigitalSignature
	leafTemplate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafTemplate.DNSNames = []string{loopbackHost}
	leafTemplate.IPAddresses = loopbackIPs()
	leaf, err := sign(leafTemplate, ca, key, caKey)
	if err != nil {
		return nil, fmt.Errorf("loopback certificate: %w", err)
	}
	return &credential{
		certificate: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
		anchor:      ca,
		from:        leaf.NotBefore.Add(loopbackMargin),
		until:       until,
	}, nil
}

func sign(of, by *x509.Certificate, key, signer *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, of, by, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func newSerial() []byte {
	serial := make([]byte, 16)
	rand.Read(serial) // never fails (crypto/rand)
	serial[0] &= 0x7f // positive, RFC 5280, section 4.1.2.2
	return serial
}

func template(serial []byte, now, until time.Time, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          new(big.Int).SetBytes(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-loopbackBefore),
		NotAfter:              until.Add(loopbackPeriod),
		BasicConstraintsValid: true,
	}
}

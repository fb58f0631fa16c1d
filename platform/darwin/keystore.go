package darwin

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"

	"kpm/core/port"
	"kpm/trust/tpm"
)

// KeyStore implements port.KeyStore. A Mac has no TPM, and its Secure Enclave keeps
// keys for programs that are signed with an entitlement: the machine key is then a
// file, and says so.
type KeyStore struct{}

var _ port.KeyStore = KeyStore{}

// OpenTPM implements port.KeyStore.
func (KeyStore) OpenTPM(device string) (port.TPM, error) {
	switch {
	case device == "":
		return nil, fmt.Errorf("keystore: a Mac has none, and its Secure Enclave is not used yet: %w", port.ErrNoTPM)
	case strings.HasPrefix(device, "tcp:"):
		return tpm.DialTCP(device)
	}
	return nil, fmt.Errorf("keystore: %s, expected nothing or tcp:ADDRESS:PORT", device)
}

// CertificateStore implements port.CertificateStore, by the machine's own keychain
// (System.keychain).
type CertificateStore struct{}

var _ port.CertificateStore = CertificateStore{}

// Certificate implements port.CertificateStore.
func (CertificateStore) Certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	chain, key, err := certificate(thumbprint)
	if err != nil {
		return nil, nil, fmt.Errorf("keychain: %w", err)
	}
	return chain, key, nil
}

package windows

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"strings"

	"kpm/core/port"
	"kpm/trust/tpm"
)

// KeyStore implements port.KeyStore with the TPM Base Services. They let
// LocalSystem and administrators make keys, and nobody else (since 1809).
type KeyStore struct{}

var _ port.KeyStore = KeyStore{}

// OpenTPM implements port.KeyStore.
func (KeyStore) OpenTPM(device string) (port.TPM, error) {
	switch {
	case device == "":
		t, err := openTBS()
		if err != nil {
			return nil, fmt.Errorf("keystore: %w", err)
		}
		return t, nil
	case strings.HasPrefix(device, "tcp:"):
		return tpm.DialTCP(device)
	}
	return nil, fmt.Errorf("keystore: %s, expected nothing or tcp:ADDRESS:PORT", device)
}

// CertificateStore implements port.CertificateStore, by the machine's own store
// (LocalMachine\My).
type CertificateStore struct{}

var _ port.CertificateStore = CertificateStore{}

// Certificate implements port.CertificateStore.
func (CertificateStore) Certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	return certificate(thumbprint)
}

package none

import (
	"crypto"
	"crypto/x509"
	"errors"

	"kpm/core/port"
)

// KeyStore implements port.KeyStore.
type KeyStore struct{}

var _ port.KeyStore = KeyStore{}

// OpenTPM implements port.KeyStore.
func (KeyStore) OpenTPM(string) (port.TPM, error) { return nil, errors.ErrUnsupported }

// CertificateStore implements port.CertificateStore.
type CertificateStore struct{}

var _ port.CertificateStore = CertificateStore{}

// Certificate implements port.CertificateStore.
func (CertificateStore) Certificate(string) ([]*x509.Certificate, crypto.Signer, error) {
	return nil, nil, errors.ErrUnsupported
}

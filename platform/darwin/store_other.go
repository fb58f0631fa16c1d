//go:build !darwin

package darwin

import (
	"crypto"
	"crypto/x509"
	"errors"
)

func certificate(string) ([]*x509.Certificate, crypto.Signer, error) {
	return nil, nil, errors.ErrUnsupported
}

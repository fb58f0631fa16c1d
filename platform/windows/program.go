package windows

import (
	"crypto"
	"crypto/x509"
	"errors"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Programs implements port.Programs.
type Programs struct{}

var _ port.Programs = Programs{}

// Program implements port.Programs.
func (Programs) Program(core.ProcessID) (*os.File, error) { return nil, errors.ErrUnsupported }

// Store implements port.CertificateStore.
type Store struct{}

var _ port.CertificateStore = Store{}

// Certificate implements port.CertificateStore, by the machine's own store
// (LocalMachine\My).
func (Store) Certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	return certificate(thumbprint)
}

// Private reports whether administrators alone can read f.
func Private(*os.File) error { return errors.ErrUnsupported }

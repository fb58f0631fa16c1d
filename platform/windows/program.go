package windows

import (
	"crypto"
	"crypto/x509"
	"errors"
	"os"

	"kpm/core"
	"kpm/trust"
)

// Programs implements core.Programs.
type Programs struct{}

var _ core.Programs = Programs{}

// Program implements core.Programs.
func (Programs) Program(core.ProcessID) (*os.File, error) { return nil, errors.ErrUnsupported }

// Store implements trust.Store.
type Store struct{}

var _ trust.Store = Store{}

// Certificate implements trust.Store, by the machine's own store
// (LocalMachine\My).
func (Store) Certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	return certificate(thumbprint)
}

// Private reports whether administrators alone can read f.
func Private(*os.File) error { return errors.ErrUnsupported }

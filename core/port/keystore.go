package port

import (
	"crypto"
	"crypto/x509"

	"kpm/core"
)

// ErrNoTPM means that this machine has no TPM 2.0, or none that this system
// lets us use. What wraps it says which.
var ErrNoTPM = core.NewError(core.Unsupported, "no TPM 2.0")

// KeyStore reaches the hardware that keeps keys. What to say to it is known to
// trust/tpm.
type KeyStore interface {
	// OpenTPM connects to the TPM 2.0 at device: a character device or a local
	// socket, by its absolute path, or "tcp:" and a loopback address with port,
	// as in "tcp:127.0.0.1:321". Empty is the machine's own, and an error that
	// wraps ErrNoTPM if there is none. A path that someone other than an
	// administrator could replace is ErrNotProtected.
	OpenTPM(device string) (TPM, error)
}

// TPM is a connection to a TPM 2.0.
type TPM interface {
	// Send carries one command and returns the response, header and all, of at
	// most 4096 bytes. One call at a time.
	Send(command []byte) ([]byte, error)
	Close() error
}

// CertificateStore finds certificates in the operating system's own store.
type CertificateStore interface {
	// Certificate returns the chain of the machine's certificate with this
	// thumbprint, SHA-1 or SHA-256 in lower-case hex, leaf first, and what
	// signs with its key. A system without a store answers
	// errors.ErrUnsupported.
	Certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error)
}

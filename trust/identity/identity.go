package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/tpm"
)

// Where machine keys are made ("Settings:KeyStore").
const (
	StoreAuto     = "auto"     // in the TPM, in a file if there is none
	StoreTPM      = "tpm"      // in the TPM or not at all
	StoreSoftware = "software" // in a file
)

// Config says where the identity is and what it is made with.
type Config struct {
	// Dir is the identity's directory. Its parent exists.
	Dir string
	// Keys reaches the TPM; nil where there is nothing to reach. Device is which
	// one, empty for the machine's own.
	Keys   port.KeyStore
	Device string
	// Store is StoreAuto, StoreTPM or StoreSoftware.
	Store string
	// Host is the machine's name in certificates; empty asks the system.
	Host string
	// Registers, in ascending order, are PCRs that secrets are sealed to; none
	// is the default, since updates of firmware and kernel change them.
	Registers []uint

	// WriteAtomic is port.Files.WriteAtomic.
	WriteAtomic func(path string, data []byte, perm os.FileMode) error
	// Lock takes a lock file until the result is closed, and does not wait.
	Lock func(path string) (io.Closer, error)
	// Private is platform.Host.Private: it reports nil when administrators
	// alone can read a file. Nil does not ask.
	Private func(*os.File) error
}

// Identity is this machine's key, ready for use, with everything that hangs on
// it. Its methods can be called at once.
type Identity struct {
	config Config
	record *record
	device *tpm.Device // nil for a key in a file
	signer crypto.Signer
	public *ecdsa.PublicKey
	id     string
	chain  []*x509.Certificate
}

// Open opens the machine's identity, making its key if there has never been
// one. With a TPM that takes up to some seconds.
//
// A key that was made in a TPM is never replaced by one in a file: if the TPM
// is cleared, exchanged or gone, or the blobs are, that is the error.
func Open(ctx context.Context, c Config) (*Identity, error) {
	i, err := open(ctx, c)
	if !errors.Is(err, errNone) {
		return i, err
	}
	if err := c.change(func() error { return c.make(ctx, false) }); err != nil {
		return nil, err
	}
	return open(ctx, c)
}

// open opens an identity that is there.
func open(ctx context.Context, c Config) (*Identity, error) {
	r, err := c.read()
	if err != nil {
		return nil, err
	}
	if r.Assurance == core.AssuranceTPM && c.Store == StoreSoftware || r.Assurance == core.AssuranceSoftware && c.Store == StoreTPM {
		return nil, fmt.Errorf("identity: %w: its assurance is %q, the key store is to be %q", ErrElsewhere, r.Assurance, c.Store)
	}
	if r.Key != nil && r.exposed != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrExposed, r.exposed)
	}
	public, err := r.public()
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrDamaged, err)
	}
	chain, err := parseChain(r.Chain)
	if err != nil {
		return nil, fmt.Errorf("identity: %w: %w", ErrDamaged, err)
	}
	id, err := KeyID(public)
	if err != nil {
		return nil, err
	}
	i := &Identity{config: c, record: r, public: public, id: id, chain: chain}
	if err := i.connect(ctx); err != nil {
		return nil, err
	}
	// A crash between the key and its public copy is made good here.
	if err := c.publish(public, r); err != nil {
		return nil, errors.Join(err, i.Close())
	}
	return i, nil
}

// connect makes the signer ready.
func (i *Identity) connect(ctx context.Context) error {
	if i.record.TPM == nil {
		key, err := i.record.private()
		if err != nil {
			return fmt.Errorf("identity: %w: %w", ErrDamaged, err)
		}
		i.signer = fileSigner{key}
		return nil
	}
	conn, err := i.config.openTPM()
	if err != nil {
		return fmt.Errorf("identity: the machine key was made in a TPM: %w", err)
	}
	device, err := tpm.Open(ctx, conn, i.record.TPM.Memory)
	if err != nil {
		return fmt.Errorf("identity: the machine key was made in a TPM: %w", err)
	}
	if i.signer, err = device.Signer(i.record.TPM.Key); err != nil {
		return errors.Join(fmt.Errorf("identity: %w", err), device.Close())
	}
	i.device = device
	return nil
}

func (c Config) openTPM() (port.TPM, error) {
	if c.Keys == nil {
		return nil, fmt.Errorf("identity: this system has no way to one: %w", port.ErrNoTPM)
	}
	return c.Keys.OpenTPM(c.Device)
}

// Close gives the TPM back. The signer is of no use afterwards.
func (i *Identity) Close() error {
	if i.device == nil {
		return nil
	}
	return i.device.Close()
}

// Signer signs SHA-256 digests with the machine key, ECDSA P-256.
func (i *Identity) Signer() crypto.Signer { return i.signer }

// KeyID is the SHA-256 of the key's SubjectPublicKeyInfo in hex (RFC 7469,
// section 2.4).
func (i *Identity) KeyID() string { return i.id }

// Assurance says where the key is.
func (i *Identity) Assurance() core.Assurance { return i.record.Assurance }

// ClientCertificate is what the machine shows a backend: the issued certificate
// and those above it, or the one that the machine signed itself.
func (i *Identity) ClientCertificate() tls.Certificate {
	return tls.Certificate{
		Certificate: i.record.Chain,
		PrivateKey:  i.signer,
		Leaf:        i.chain[0],
		// TLS 1.2 would also let a P-256 key sign longer digests, and a TPM not.
		SupportedSignatureAlgorithms: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
}

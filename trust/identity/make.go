package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/tpm"
)

// Rotate makes a new machine key in place of the current one, which it neither
// needs nor, unless it is in another file, leaves anywhere. The new key has a
// certificate of its own signature. What was sealed stays readable, unless the
// TPM was cleared or exchanged.
//
// Without a TPM, a key that was in one is followed by one in a file only if
// Store says StoreSoftware.
func Rotate(ctx context.Context, c Config) error {
	return c.change(func() error { return c.make(ctx, true) })
}

// change calls do while nobody else changes the identity.
//
// Attack on ourselves: a certificate is installed with the record that it was
// read from while another process rotates, and brings the old key back.
func (c Config) change(do func() error) (err error) {
	if err := private(c.Dir); err != nil {
		return err
	}
	lock, err := c.Lock(filepath.Join(c.Dir, "lock"))
	if err != nil {
		return fmt.Errorf("identity: another program is changing it: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	// Files that a crash left behind before they had their name hold keys.
	leftovers, err := filepath.Glob(filepath.Join(c.Dir, ".*.tmp"))
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	for _, path := range leftovers {
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
	}
	return do()
}

// make makes a key if there is none, or in place of the one that is there. The
// new key is in force when its record has taken the place of the old one.
func (c Config) make(ctx context.Context, again bool) error {
	old, err := c.read()
	switch {
	case err == nil && !again:
		return nil // somebody else has just made it
	case err == nil:
		public, err := old.public()
		if err != nil {
			return fmt.Errorf("identity: %w: %w", ErrDamaged, err)
		}
		if err := c.publish(public, old); err != nil {
			return err
		}
	case errors.Is(err, errNone):
	case again && (errors.Is(err, ErrLost) || errors.Is(err, ErrDamaged) || errors.Is(err, core.ErrNotRegular)):
	default:
		return err
	}
	r, err := c.newRecord(ctx)
	if err != nil {
		return err
	}
	if old != nil && old.Assurance == core.AssuranceTPM && r.Assurance != core.AssuranceTPM && c.Store != StoreSoftware {
		return fmt.Errorf("identity: the key was made in a TPM, and a new one could only be made in a file; if that is what you want, set the key store to %q: %s", StoreSoftware, r.Why)
	}
	if err := c.write(r); err != nil {
		return err
	}
	public, err := r.public()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return c.publish(public, r)
}

// newRecord makes a key where the settings want it.
func (c Config) newRecord(ctx context.Context) (*record, error) {
	switch c.Store {
	case StoreTPM:
		return c.inTPM(ctx)
	case StoreSoftware:
		return c.inFile("")
	case StoreAuto:
		r, err := c.inTPM(ctx)
		// A TPM that only had no time is not passed over: the key would stay in
		// a file. Nor is one whose answers are changed.
		if withoutTPM(err) {
			return c.inFile(err.Error())
		}
		return r, err
	}
	return nil, fmt.Errorf("identity: key store %q, expected %s, %s or %s", c.Store, StoreAuto, StoreTPM, StoreSoftware)
}

func (c Config) inTPM(ctx context.Context) (r *record, err error) {
	conn, err := c.openTPM()
	if err != nil {
		return nil, err
	}
	device, err := tpm.Open(ctx, conn, tpm.Memory{})
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	defer func() { err = errors.Join(err, device.Close()) }()
	key, err := device.CreateKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("identity: make a key: %w", err)
	}
	attestation, err := device.CreateAttestationKey(ctx)
	if err != nil {
		return nil, fmt.Errorf("identity: make an attestation key: %w", err)
	}
	signer, err := device.Signer(key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	r = &record{
		Version: recordVersion, Assurance: core.AssuranceTPM, Made: time.Now().UTC(),
		TPM: &tpmObjects{Key: key, Attestation: attestation, Memory: device.Memory()},
	}
	return r, c.certify(r, signer)
}

func (c Config) inFile(why string) (*record, error) {
	if err := c.makeSealKey(); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("identity: make a key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("identity: make a key: %w", err)
	}
	r := &record{Version: recordVersion, Assurance: core.AssuranceSoftware, Made: time.Now().UTC(), Why: why, Key: der}
	return r, c.certify(r, fileSigner{key})
}

// certify puts the certificate into the record that the key gives itself.
func (c Config) certify(r *record, signer crypto.Signer) error {
	der, err := c.selfSigned(signer, r)
	r.Chain = [][]byte{der}
	return err
}

// withoutTPM reports whether err means that there is no TPM for us, so that the
// first key may lie in a file. One that is busy, locked or lies is no such case.
func withoutTPM(err error) bool {
	return errors.Is(err, port.ErrNoTPM) || errors.Is(err, tpm.ErrUnusable) || errors.Is(err, tpm.ErrRefusedAuth)
}

package identity

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/trust/tpm"
)

// States of an identity.
const (
	Ready  = "ready"  // the key signs
	Absent = "absent" // none was made yet
	Broken = "broken" // there is one, and it cannot be used
)

// expiresSoon is when an issued certificate should have been renewed.
const expiresSoon = 14 * 24 * time.Hour

// Status describes an identity. It holds no secret.
type Status struct {
	State string `json:"state"`
	// Assurance, KeyID and Made are of the current key; empty if it cannot be
	// read.
	Assurance core.Assurance `json:"assurance,omitempty"`
	KeyID     string         `json:"keyId,omitempty"`
	Made      time.Time      `json:"made,omitzero"`
	// TPM is the one that the key is in, Device where it is looked for if that
	// is not the machine's own.
	TPM    *tpm.Info `json:"tpm,omitempty"`
	Device string    `json:"device,omitempty"`
	// SealedUnder says what keeps sealed secrets.
	SealedUnder string       `json:"sealedUnder,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
	// Retired are the ids of earlier keys.
	Retired []string `json:"retired,omitempty"`
	// Notes are worth knowing; Problems are to be seen to.
	Notes    []string `json:"notes,omitempty"`
	Problems []string `json:"problems,omitempty"`
}

// Certificate is the machine's own.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	DaysLeft  int       `json:"daysLeft"` // whole days, 0 when expired
	// Issued is false for the one that the machine signed itself.
	Issued bool `json:"issued"`
}

// Inspect says how the identity is. It makes none, and lets the key sign once.
// An error means that this cannot be told, as by somebody who may not read it.
func Inspect(ctx context.Context, c Config) (Status, error) {
	s := Status{Device: c.Device}
	r, err := c.read()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return Status{}, err
	case errors.Is(err, ErrLost), errors.Is(err, ErrDamaged):
		s.broken(err)
		return s, c.findRetired(&s)
	case errors.Is(err, errNone):
		s.State = Absent
		s.problem("there is no machine key yet; the service makes one when it starts")
		c.foresee(ctx, &s)
		return s, nil
	case err != nil:
		return Status{}, err
	}
	if err := s.describe(r, time.Now()); err != nil {
		return Status{}, err
	}
	if err := c.findRetired(&s); err != nil {
		return Status{}, err
	}
	if r.exposed != nil {
		s.problem(r.exposed.Error())
	}
	i, err := open(ctx, c)
	if err != nil {
		s.broken(err)
		return s, nil
	}
	s.State = Ready
	if err := i.try(ctx, &s); err != nil {
		s.broken(err)
	}
	if r.TPM == nil {
		c.lookForTPM(ctx, r, &s)
	}
	if err := i.Close(); err != nil {
		return Status{}, fmt.Errorf("identity: %w", err)
	}
	return s, nil
}

// foresee says what the first key would be kept in, as far as it is not plain.
func (c Config) foresee(ctx context.Context, s *Status) {
	if c.Store == StoreSoftware {
		return
	}
	conn, err := c.openTPM()
	if err == nil {
		var device *tpm.Device
		if device, err = tpm.Open(ctx, conn, tpm.Memory{}); err == nil {
			_ = device.Close() // nothing was made in it
			return
		}
	}
	if c.Store == StoreTPM || !withoutTPM(err) {
		s.problem("it cannot make one: Settings:KeyStore is " + c.Store + ", and the TPM cannot be used (" + err.Error() + "); fix that, or set software")
		return
	}
	s.Notes = append(s.Notes, "it will lie in a file: "+err.Error())
}

func (s *Status) problem(text string) { s.Problems = append(s.Problems, text) }

// broken says what is wrong and what helps.
func (s *Status) broken(err error) {
	s.State = Broken
	remedy := "make a new key: KeeperAdminCLI trust rotate"
	switch {
	case errors.Is(err, ErrElsewhere):
		remedy = "change Settings:KeyStore, or make a new key where it says: KeeperAdminCLI trust rotate"
	case errors.Is(err, tpm.ErrLockout), errors.Is(err, tpm.ErrBusy):
		remedy = "wait, and try again"
	case errors.Is(err, port.ErrNoTPM), errors.Is(err, tpm.ErrOtherTPM):
		remedy = "bring the TPM back, or make a new key: KeeperAdminCLI trust rotate"
	case errors.Is(err, tpm.ErrCleared):
		remedy = "if the TPM was cleared on purpose, make a new key: KeeperAdminCLI trust rotate; else find out who did it"
	case errors.Is(err, tpm.ErrTampered), errors.Is(err, tpm.ErrRefusedAuth), errors.Is(err, core.ErrNotProtected):
		remedy = "fix the TPM first; a new key would not be safer"
	}
	s.problem(err.Error() + "; " + remedy)
}

// describe tells what is in the record.
func (s *Status) describe(r *record, now time.Time) error {
	public, err := r.public()
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if s.KeyID, err = KeyID(public); err != nil {
		return err
	}
	chain, err := parseChain(r.Chain)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	s.Assurance, s.Made = r.Assurance, r.Made
	s.SealedUnder = "seal.key, a file"
	if r.TPM != nil {
		sum := sha256.Sum256(r.TPM.Memory.Storage)
		s.SealedUnder = "the TPM's storage key " + hex.EncodeToString(sum[:])
	}
	s.certificate(chain, r.Issued, now)
	return nil
}

func (s *Status) certificate(chain []*x509.Certificate, issued bool, now time.Time) {
	leaf := chain[0]
	s.Certificate = &Certificate{
		Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		DaysLeft: int(max(0, leaf.NotAfter.Sub(now)) / (24 * time.Hour)), Issued: issued,
	}
	if !issued {
		s.Notes = append(s.Notes, "the certificate is the machine's own; a backend may want one that it has issued: KeeperAdminCLI trust enroll --csr FILE")
	}
	for _, c := range chain {
		switch {
		case now.Before(c.NotBefore):
			s.problem(fmt.Sprintf("the certificate of %s is not valid before %s", c.Subject, c.NotBefore.Format(time.RFC3339)))
		case now.After(c.NotAfter):
			s.problem(fmt.Sprintf("the certificate of %s expired on %s", c.Subject, c.NotAfter.Format(time.RFC3339)))
		case now.Add(expiresSoon).After(c.NotAfter):
			s.problem(fmt.Sprintf("the certificate of %s expires on %s", c.Subject, c.NotAfter.Format(time.RFC3339)))
		}
	}
}

func (c Config) findRetired(s *Status) (err error) {
	s.Retired, err = c.retired(s.KeyID)
	return err
}

// try lets the key sign, and the TPM say what it is.
func (i *Identity) try(ctx context.Context, s *Status) error {
	digest := sha256.Sum256([]byte("kpm status"))
	if _, err := i.signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
		return fmt.Errorf("identity: sign: %w", err)
	}
	if i.device == nil {
		if _, err := i.config.sealKey(); err != nil {
			s.problem(err.Error() + "; what was sealed is lost, unless you have a copy of it")
		}
		return nil
	}
	info, err := i.device.Info(ctx)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	s.TPM = &info
	return nil
}

// lookForTPM says why a key is in a file, and whether it need be.
func (c Config) lookForTPM(ctx context.Context, r *record, s *Status) {
	if r.Why != "" {
		s.Notes = append(s.Notes, "the key is in a file: "+r.Why)
	} else {
		s.Notes = append(s.Notes, "the key is in a file, as the settings had it when it was made")
	}
	if c.Store != StoreAuto {
		return
	}
	conn, err := c.openTPM()
	if err != nil {
		return
	}
	if device, err := tpm.Open(ctx, conn, tpm.Memory{}); err == nil {
		_ = device.Close() // nothing was made in it
		s.problem("the key is in a file although there is a TPM; make a new one in it: KeeperAdminCLI trust rotate")
	}
}

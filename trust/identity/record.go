package identity

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"kpm/core"
	"kpm/trust/tpm"
)

const (
	maxRecord       = 64 << 10 // bytes
	maxCertificates = 8        // in a chain
	recordVersion   = 1
)

// record is machine.json.
type record struct {
	Version   int            `json:"version"`
	Assurance core.Assurance `json:"assurance"`
	Made      time.Time      `json:"made"`
	// Why says why the key is in a file although the settings leave the choice.
	Why string `json:"why,omitempty"`
	// Key is a private key, PKCS #8 (RFC 5208).
	Key []byte      `json:"key,omitempty"`
	TPM *tpmObjects `json:"tpm,omitempty"`
	// Chain is the machine's certificate, X.509 DER, and those above it. Issued
	// is false as long as the machine has signed it itself.
	Chain  [][]byte `json:"chain"`
	Issued bool     `json:"issued"`

	// exposed says who else can read the file, nil if nobody.
	exposed error
}

// tpmObjects are what a TPM made for us, and the TPM.
type tpmObjects struct {
	Key         tpm.Blob   `json:"key"`
	Attestation tpm.Blob   `json:"attestation"`
	Memory      tpm.Memory `json:"memory"`
}

func (c Config) recordPath() string { return filepath.Join(c.Dir, "machine.json") }

// read returns the current record. The error is errNone, ErrLost if there was
// one, or ErrDamaged.
func (c Config) read() (*record, error) {
	data, exposed, err := c.readPrivate(c.recordPath(), maxRecord)
	if errors.Is(err, fs.ErrNotExist) {
		if keys, listErr := filepath.Glob(filepath.Join(c.Dir, "keys", "*.pem")); listErr == nil && len(keys) > 0 {
			return nil, fmt.Errorf("identity: %w: %s is missing", ErrLost, c.recordPath())
		}
		return nil, fmt.Errorf("identity: %w in %s", errNone, c.Dir)
	}
	if err != nil {
		return nil, err
	}
	r, err := parseRecord(data)
	if err != nil {
		return nil, fmt.Errorf("identity: %s: %w: %w", c.recordPath(), ErrDamaged, err)
	}
	r.exposed = exposed
	return r, nil
}

// readPrivate reads a file, and says why others than administrators can, too.
// A link is not followed.
func (c Config) readPrivate(path string, most int64) (data []byte, exposed, err error) {
	if info, err := os.Lstat(path); err != nil {
		return nil, nil, fmt.Errorf("identity: %w", err)
	} else if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("identity: %s: %w", path, core.ErrNotRegular)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("identity: %w", err)
	}
	defer f.Close()
	if c.Private != nil {
		exposed = c.Private(f)
	}
	data, err = io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, nil, fmt.Errorf("identity: read %s: %w", path, err)
	}
	if int64(len(data)) > most {
		return nil, nil, fmt.Errorf("identity: %s is larger than %d bytes: %w", path, most, ErrDamaged)
	}
	return data, exposed, nil
}

func (c Config) write(r *record) error {
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	if err := c.WriteAtomic(c.recordPath(), append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// parseRecord reads a record and checks that its parts belong together.
func parseRecord(data []byte) (*record, error) {
	var r record
	if err := decode(data, &r); err != nil {
		return nil, err
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("version %d, expected %d", r.Version, recordVersion)
	}
	switch {
	case r.Assurance == core.AssuranceTPM && r.TPM != nil && r.Key == nil:
	case r.Assurance == core.AssuranceSoftware && r.TPM == nil && r.Key != nil:
	default:
		return nil, fmt.Errorf("assurance %q does not go with the keys that are there", r.Assurance)
	}
	key, err := r.public()
	if err != nil {
		return nil, err
	}
	chain, err := parseChain(r.Chain)
	if err != nil {
		return nil, err
	}
	if !key.Equal(chain[0].PublicKey) {
		return nil, errors.New("the certificate is for another key")
	}
	return &r, nil
}

// decode reads exactly one JSON value, without members that nobody reads.
func decode(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// public returns the machine key's public half.
func (r *record) public() (*ecdsa.PublicKey, error) {
	if r.TPM != nil {
		return tpm.PublicKey(r.TPM.Key.Public)
	}
	key, err := r.private()
	if err != nil {
		return nil, err
	}
	return &key.PublicKey, nil
}

// private returns a machine key that is in the record.
func (r *record) private() (*ecdsa.PrivateKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(r.Key)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("private key: not an ECDSA P-256 key")
	}
	return key, nil
}

func parseChain(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 || len(chain) > maxCertificates {
		return nil, fmt.Errorf("a chain of %d certificates, expected 1 to %d", len(chain), maxCertificates)
	}
	var parsed []*x509.Certificate
	for i, der := range chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		parsed = append(parsed, c)
	}
	return parsed, nil
}

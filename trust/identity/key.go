package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// fileSigner is a key in a file. Unlike the *ecdsa.PrivateKey itself it cannot
// be asked for the key, and it signs what a TPM's would.
type fileSigner struct{ key *ecdsa.PrivateKey }

func (s fileSigner) Public() crypto.PublicKey { return &s.key.PublicKey }

func (s fileSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() != crypto.SHA256 || len(digest) != sha256.Size {
		return nil, errors.New("identity: sign: the key signs SHA-256 digests only")
	}
	return ecdsa.SignASN1(rand.Reader, s.key, digest)
}

// KeyID is the id of a public key: the SHA-256 of its SubjectPublicKeyInfo in
// lower-case hex (RFC 7469, section 2.4).
func KeyID(public *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("identity: %w", err)
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}

// PublicKeyPEM is the machine key's public half.
func (i *Identity) PublicKeyPEM() []byte {
	der, err := x509.MarshalPKIXPublicKey(i.public)
	if err != nil {
		panic("identity: " + err.Error()) // Open has done the same
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (c Config) keysDir() string { return filepath.Join(c.Dir, "keys") }

// publish keeps the public half of the record's key for the time after it. What
// stands before the PEM is for people (RFC 7468, section 5.2).
func (c Config) publish(public *ecdsa.PublicKey, r *record) error {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	sum := sha256.Sum256(der)
	path := filepath.Join(c.keysDir(), hex.EncodeToString(sum[:])+".pem")
	if _, err := os.Lstat(path); err == nil {
		return nil
	}
	if err := private(c.keysDir()); err != nil {
		return err
	}
	text := fmt.Sprintf("Machine key, assurance %s, made %s\n", r.Assurance, r.Made.UTC().Format(time.RFC3339))
	text += string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	if err := c.WriteAtomic(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// private makes dir a directory that is the service account's alone.
func private(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("identity: %w", err)
	}
	if info, err := os.Lstat(dir); err != nil {
		return fmt.Errorf("identity: %w", err)
	} else if !info.IsDir() {
		return fmt.Errorf("identity: %s is not a directory", dir)
	}
	if err := os.Chmod(dir, 0o700); err != nil { // a restored backup may differ
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

// PublicKeys returns the public keys of every machine key there ever was in dir,
// by id, as SubjectPublicKeyInfo in PEM. A file whose name is not the id of the
// key in it is left out.
func PublicKeys(dir string) (map[string][]byte, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "keys"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	keys := map[string][]byte{}
	for _, entry := range entries {
		id, ok := strings.CutSuffix(entry.Name(), ".pem")
		if !ok || !entry.Type().IsRegular() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, "keys", entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
		block, _ := pem.Decode(data)
		if block == nil || block.Type != "PUBLIC KEY" {
			continue
		}
		sum := sha256.Sum256(block.Bytes)
		if id != hex.EncodeToString(sum[:]) {
			continue
		}
		keys[id] = pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})
	}
	return keys, nil
}

// retired returns the ids of keys that are not the current one.
func (c Config) retired(current string) ([]string, error) {
	keys, err := PublicKeys(c.Dir)
	if err != nil {
		return nil, err
	}
	var ids []string
	for id := range keys {
		if id != current {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

package identity

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"kpm/trust/tpm"
)

// MaxSecret bounds what Seal takes, in bytes.
const MaxSecret = 1 << 20

// An envelope is a header, a nonce of 12 bytes, and the secret in AES-256-GCM
// under a key of its own. The header says how to get at that key:
//
//	magic  kindTPM   lengths(2) and public and private area of the sealed key,
//	                 number(1) and indices(1 each) of the PCRs it is sealed to
//	magic  kindFile  salt(32): the key is HKDF-SHA256 of seal.key
//
// Header and associated data are authenticated. Numbers are big-endian.
const (
	sealMagic = "kpm-seal\x01"
	kindTPM   = 'T'
	kindFile  = 'F'
	keySize   = 32
	nonceSize = 12
	sealInfo  = "kpm seal 1"
)

// Seal encrypts a secret of at most MaxSecret bytes so that only this machine
// can read it: under a new key that the TPM keeps, or under seal.key where there
// is no TPM. associated, which is not kept, has to be the same for Unseal: what
// the secret is for, so that one cannot be put in another's place.
func (i *Identity) Seal(ctx context.Context, secret, associated []byte) ([]byte, error) {
	if len(secret) > MaxSecret {
		return nil, fmt.Errorf("identity: seal %d bytes, expected at most %d", len(secret), MaxSecret)
	}
	var header, key []byte
	if i.device != nil {
		key = make([]byte, keySize)
		rand.Read(key) // never fails (crypto/rand)
		b, err := i.device.Seal(ctx, key, i.config.Registers)
		if err != nil {
			return nil, fmt.Errorf("identity: seal: %w", err)
		}
		header = append([]byte(sealMagic), kindTPM)
		header = append(binary.BigEndian.AppendUint16(header, uint16(len(b.Public))), b.Public...)
		header = append(binary.BigEndian.AppendUint16(header, uint16(len(b.Private))), b.Private...)
		header = append(header, byte(len(i.config.Registers)))
		for _, register := range i.config.Registers {
			header = append(header, byte(register))
		}
	} else {
		salt := make([]byte, keySize)
		rand.Read(salt) // never fails (crypto/rand)
		header = append(append([]byte(sealMagic), kindFile), salt...)
		var err error
		if key, err = i.config.fileKey(salt); err != nil {
			return nil, err
		}
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails (crypto/rand)
	return aead.Seal(append(bytes.Clone(header), nonce...), nonce, secret, append(header, associated...)), nil
}

// Unseal returns what Seal has sealed on this machine with the same associated
// data, whichever kind of key it had then. All else is ErrSealed; a TPM that was
// cleared, exchanged or measured something else says so beside it.
func (i *Identity) Unseal(ctx context.Context, sealed, associated []byte) ([]byte, error) {
	e, err := parseEnvelope(sealed)
	if err != nil {
		return nil, fmt.Errorf("identity: unseal: %w: %w", ErrSealed, err)
	}
	var key []byte
	switch {
	case e.salt != nil:
		key, err = i.config.fileKey(e.salt)
	case i.device == nil:
		err = errors.New("it was sealed in a TPM, and the machine key is in a file now")
	default:
		key, err = i.device.Unseal(ctx, e.blob, e.registers)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: unseal: %w: %w", ErrSealed, err)
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, fmt.Errorf("identity: unseal: %w: %w", ErrSealed, err)
	}
	secret, err := aead.Open(nil, e.nonce, e.ciphertext, append(bytes.Clone(e.header), associated...))
	if err != nil {
		return nil, fmt.Errorf("identity: unseal: %w: it was changed, or sealed for something else", ErrSealed)
	}
	return secret, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	if len(key) != keySize {
		return nil, fmt.Errorf("identity: a key of %d bytes, expected %d", len(key), keySize)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	return cipher.NewGCM(block)
}

// envelope is what parseEnvelope finds.
type envelope struct {
	header, nonce, ciphertext []byte
	salt                      []byte // nil unless kindFile
	blob                      tpm.Blob
	registers                 []uint
}

func parseEnvelope(sealed []byte) (envelope, error) {
	var e envelope
	rest, ok := bytes.CutPrefix(sealed, []byte(sealMagic))
	if !ok || len(rest) == 0 {
		return e, errors.New("nothing that was sealed here")
	}
	kind := rest[0]
	rest = rest[1:]
	// take cuts n bytes off what is left, if it has them.
	take := func(n int) []byte {
		if !ok || n > len(rest) {
			ok = false
			return nil
		}
		part := rest[:n:n]
		rest = rest[n:]
		return part
	}
	sized := func() []byte {
		if size := take(2); ok {
			return take(int(binary.BigEndian.Uint16(size)))
		}
		return nil
	}
	switch kind {
	case kindTPM:
		e.blob = tpm.Blob{Public: sized(), Private: sized()}
		if count := take(1); ok {
			for _, register := range take(int(count[0])) {
				e.registers = append(e.registers, uint(register))
			}
		}
	case kindFile:
		e.salt = take(keySize)
	default:
		return e, fmt.Errorf("it is of kind %q, which nobody knows", kind)
	}
	e.header = sealed[:len(sealed)-len(rest)]
	e.nonce = take(nonceSize)
	e.ciphertext = rest
	if !ok {
		return e, errors.New("it ends early")
	}
	return e, nil
}

// fileKey derives a key from seal.key.
func (c Config) fileKey(salt []byte) ([]byte, error) {
	root, err := c.sealKey()
	if err != nil {
		return nil, err
	}
	return hkdf.Key(sha256.New, root, salt, sealInfo, keySize)
}

func (c Config) sealKeyPath() string { return filepath.Join(c.Dir, "seal.key") }

// sealKey returns the secret in seal.key, which outlives machine keys: what is
// sealed must stay readable when the key is rotated.
func (c Config) sealKey() ([]byte, error) {
	root, exposed, err := c.readPrivate(c.sealKeyPath(), keySize)
	switch {
	case err != nil:
		return nil, err
	case exposed != nil:
		return nil, fmt.Errorf("identity: %w: %w", ErrExposed, exposed)
	case len(root) != keySize:
		return nil, fmt.Errorf("identity: %s has %d bytes, expected %d: %w", c.sealKeyPath(), len(root), keySize, ErrDamaged)
	}
	return root, nil
}

// makeSealKey makes seal.key if nothing is there.
func (c Config) makeSealKey() error {
	if _, err := os.Lstat(c.sealKeyPath()); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	root := make([]byte, keySize)
	rand.Read(root) // never fails (crypto/rand)
	if err := c.WriteAtomic(c.sealKeyPath(), root, 0o600); err != nil {
		return fmt.Errorf("identity: %w", err)
	}
	return nil
}

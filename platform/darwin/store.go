//go:build darwin

package darwin

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"io"
	"io/fs"
	"runtime"

	"kpm/platform/darwin/keychain"
	"kpm/platform/darwin/libsystem"
)

// certificate finds a certificate of the machine's keychain by its thumbprint. The key
// stays where it is.
func certificate(thumbprint string) ([]*x509.Certificate, crypto.Signer, error) {
	calls, err := libsystem.Keys()
	if err != nil {
		return nil, nil, err
	}
	leaf, handle, err := calls.Key(func(der []byte) bool { return keychain.Fits(der, thumbprint) })
	if err != nil {
		return nil, nil, err
	}
	if handle == 0 {
		return nil, nil, fmt.Errorf("no certificate %s with a key in System.keychain: %w", thumbprint, fs.ErrNotExist)
	}
	key := &storeKey{calls: calls, handle: handle}
	runtime.AddCleanup(key, calls.Release, handle)
	others, err := calls.Certificates()
	if err != nil {
		return nil, nil, err
	}
	chain, err := keychain.Chain(leaf, others)
	if err != nil {
		return nil, nil, err
	}
	key.public = chain[0].PublicKey
	if err := keychain.Prove(key, chain[0]); err != nil {
		return nil, nil, fmt.Errorf("the key of %s: %w", thumbprint, err)
	}
	return chain, key, nil
}

// storeKey is a private key that the keychain keeps. It implements crypto.Signer; its
// methods may be called concurrently.
type storeKey struct {
	calls  *libsystem.Keychain
	handle uintptr
	public crypto.PublicKey
}

// Public implements crypto.Signer.
func (k *storeKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer, as keychain.Algorithm says.
func (k *storeKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	defer runtime.KeepAlive(k)
	algorithm, err := keychain.Algorithm(k.public, digest, opts)
	if err != nil {
		return nil, fmt.Errorf("keychain: sign: %w", err)
	}
	signature, err := k.calls.Sign(k.handle, algorithm, digest)
	if err != nil {
		return nil, fmt.Errorf("keychain: sign: %w", err)
	}
	return signature, nil
}

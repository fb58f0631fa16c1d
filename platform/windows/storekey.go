//go:build windows

package windows

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Padding flags of NCryptSignHash, and its algorithm names (bcrypt.h).
const (
	padPKCS1 = 0x2
	padPSS   = 0x8
	silent   = 0x40 // NCRYPT_SILENT_FLAG: no window, whatever the key wants
)

func hashName(h crypto.Hash) (*uint16, error) {
	names := map[crypto.Hash]string{crypto.SHA256: "SHA256", crypto.SHA384: "SHA384", crypto.SHA512: "SHA512"}
	name, ok := names[h]
	if !ok {
		return nil, fmt.Errorf("%v: %w", h, errors.ErrUnsupported)
	}
	return windows.UTF16PtrFromString(name)
}

// storeKey is a private key that Windows keeps. It implements crypto.Signer;
// its methods may be called concurrently.
type storeKey struct {
	handle windows.Handle
	public crypto.PublicKey
	sign   *windows.LazyProc
}

// keyOf returns the key of a certificate in the store, without asking anyone.
func keyOf(c *windows.CertContext, leaf *x509.Certificate) (crypto.Signer, error) {
	var handle windows.Handle
	var spec uint32
	var free bool
	err := windows.CryptAcquireCertificatePrivateKey(c,
		windows.CRYPT_ACQUIRE_ONLY_NCRYPT_KEY_FLAG|windows.CRYPT_ACQUIRE_COMPARE_KEY_FLAG|windows.CRYPT_ACQUIRE_SILENT_FLAG,
		nil, &handle, &spec, &free)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	key := newStoreKey(handle, leaf.PublicKey)
	if free {
		runtime.AddCleanup(key, func(h windows.Handle) {
			windows.NewLazySystemDLL("ncrypt.dll").NewProc("NCryptFreeObject").Call(uintptr(h))
		}, handle)
	}
	return key, nil
}

func newStoreKey(handle windows.Handle, public crypto.PublicKey) *storeKey {
	return &storeKey{handle, public, windows.NewLazySystemDLL("ncrypt.dll").NewProc("NCryptSignHash")}
}

// Public implements crypto.Signer.
func (k *storeKey) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer for RSA (PKCS #1 v1.5 and PSS) and ECDSA over
// SHA-256, SHA-384 and SHA-512.
func (k *storeKey) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	hash := opts.HashFunc()
	name, err := hashName(hash)
	if err != nil {
		return nil, fmt.Errorf("windows: sign: %w", err)
	}
	if len(digest) != hash.Size() {
		return nil, fmt.Errorf("windows: sign: a digest of %d bytes, expected %d", len(digest), hash.Size())
	}
	switch k.public.(type) {
	case *ecdsa.PublicKey:
		pair, err := k.call(nil, digest, 0)
		if err != nil {
			return nil, err
		}
		half := len(pair) / 2 // r and s, big-endian, of equal length
		return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(pair[:half]), new(big.Int).SetBytes(pair[half:])})
	case *rsa.PublicKey:
		if pss, ok := opts.(*rsa.PSSOptions); ok {
			salt := pss.SaltLength
			if salt == rsa.PSSSaltLengthEqualsHash || salt == rsa.PSSSaltLengthAuto {
				salt = hash.Size() // TLS wants it so
			}
			padding := struct {
				name *uint16
				salt uint32
			}{name, uint32(salt)}
			return k.call(unsafe.Pointer(&padding), digest, padPSS)
		}
		padding := struct{ name *uint16 }{name}
		return k.call(unsafe.Pointer(&padding), digest, padPKCS1)
	}
	return nil, fmt.Errorf("windows: sign: a key of type %T: %w", k.public, errors.ErrUnsupported)
}

// call is NCryptSignHash: first for the length, then for the signature.
func (k *storeKey) call(padding unsafe.Pointer, digest []byte, flags uintptr) ([]byte, error) {
	defer runtime.KeepAlive(k)
	var size uint32
	status, _, _ := k.sign.Call(uintptr(k.handle), uintptr(padding), uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)),
		0, 0, uintptr(unsafe.Pointer(&size)), flags|silent)
	if status != 0 {
		return nil, fmt.Errorf("windows: sign: 0x%08X", uint32(status))
	}
	signature := make([]byte, max(size, 1))
	status, _, _ = k.sign.Call(uintptr(k.handle), uintptr(padding), uintptr(unsafe.Pointer(&digest[0])), uintptr(len(digest)),
		uintptr(unsafe.Pointer(&signature[0])), uintptr(size), uintptr(unsafe.Pointer(&size)), flags|silent)
	if status != 0 || int(size) > len(signature) {
		return nil, fmt.Errorf("windows: sign: 0x%08X", uint32(status))
	}
	return signature[:size], nil
}

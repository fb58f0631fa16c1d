//go:build windows

package windows

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"math/big"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// ephemeralKey makes an RSA key that Windows keeps and nobody stores.
func ephemeralKey(t *testing.T) *storeKey {
	t.Helper()
	dll := windows.NewLazySystemDLL("ncrypt.dll")
	do := func(proc string, args ...uintptr) {
		t.Helper()
		if status, _, _ := dll.NewProc(proc).Call(args...); status != 0 {
			t.Fatalf("%s: 0x%08X", proc, uint32(status))
		}
	}
	text := func(s string) uintptr {
		p, err := windows.UTF16PtrFromString(s)
		if err != nil {
			t.Fatal(err)
		}
		return uintptr(unsafe.Pointer(p))
	}
	var provider, key windows.Handle
	do("NCryptOpenStorageProvider", uintptr(unsafe.Pointer(&provider)), text("Microsoft Software Key Storage Provider"), 0)
	do("NCryptCreatePersistedKey", uintptr(provider), uintptr(unsafe.Pointer(&key)), text("RSA"), 0, 0, 0)
	bits := uint32(2048)
	do("NCryptSetProperty", uintptr(key), text("Length"), uintptr(unsafe.Pointer(&bits)), 4, 0)
	do("NCryptFinalizeKey", uintptr(key), 0)
	var size uint32
	do("NCryptExportKey", uintptr(key), 0, text("RSAPUBLICBLOB"), 0, 0, 0, uintptr(unsafe.Pointer(&size)), 0)
	blob := make([]byte, size)
	do("NCryptExportKey", uintptr(key), 0, text("RSAPUBLICBLOB"), 0, uintptr(unsafe.Pointer(&blob[0])), uintptr(size), uintptr(unsafe.Pointer(&size)), 0)
	// BCRYPT_RSAKEY_BLOB: magic, bits, length of exponent, of modulus, of primes.
	exponent, modulus := binary.LittleEndian.Uint32(blob[8:]), binary.LittleEndian.Uint32(blob[12:])
	public := &rsa.PublicKey{
		E: int(new(big.Int).SetBytes(blob[24 : 24+exponent]).Int64()),
		N: new(big.Int).SetBytes(blob[24+exponent : 24+exponent+modulus]),
	}
	return newStoreKey(key, public)
}

func TestAKeyThatWindowsKeepsSigns(t *testing.T) {
	key := ephemeralKey(t)
	public := key.Public().(*rsa.PublicKey)
	digest := sha256.Sum256([]byte("content"))
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
		t.Error(err)
	}
	if _, err := key.Sign(rand.Reader, digest[:20], crypto.SHA256); err == nil {
		t.Error("a digest that is too short was signed")
	}
	if _, err := key.Sign(rand.Reader, digest[:], crypto.MD5); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("MD5: %v", err)
	}
}

func TestACertificateThatIsNotInTheStore(t *testing.T) {
	if _, _, err := (CertificateStore{}).Certificate(strings.Repeat("ab", 20)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestThumbprintsFit(t *testing.T) {
	const one, two = "a9993e364706816aba3e25717850c26c9cd0d89d", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
	for thumbprint, want := range map[string]bool{one: true, two: true, one[:38] + "00": false, "": false} {
		if fits([]byte("abc"), thumbprint) != want {
			t.Errorf("%q fits: %v", thumbprint, !want)
		}
	}
}

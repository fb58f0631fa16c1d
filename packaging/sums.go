package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// sums writes SHA256SUMS, as sha256sum -c reads it, and SHA256SUMS.sig if there is
// a key: what `openssl pkeyutl -verify -rawin` reads.
func (r *release) sums(key string) error {
	files, err := os.ReadDir(r.out)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(r.out, f.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(data), f.Name())
	}
	if err := os.WriteFile(filepath.Join(r.out, "SHA256SUMS"), []byte(list.String()), 0o644); err != nil {
		return err
	}
	if key == "" {
		fmt.Println("packaging: SHA256SUMS is not signed: name an Ed25519 key with -sign (make packages SIGN=key.pem)")
		return nil
	}
	private, err := signer(key)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.out, "SHA256SUMS.sig"), ed25519.Sign(private, []byte(list.String())), 0o644)
}

func signer(path string) (ed25519.PrivateKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM; make a key with: openssl genpkey -algorithm ed25519", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s is a %T, expected an Ed25519 key; make one with: openssl genpkey -algorithm ed25519", path, key)
	}
	return private, nil
}

package ima_test

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/trust/ima"
)

// Keys and certificates as openssl makes them.
func TestKindsOfKey(t *testing.T) {
	content := program()
	path := write(t, content)
	for name, c := range map[string]struct {
		options []string
		want    core.Standing
	}{
		"RSA":                     {[]string{"-newkey", "rsa:2048"}, core.Trusted},
		"RSA, certificate for CA": {[]string{"-newkey", "rsa:2048", "-addext", "keyUsage=keyCertSign"}, core.Untrusted},
		"RSA, 512 bits":           {[]string{"-newkey", "rsa:512"}, core.Untrusted},
		"P-384":                   {[]string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"}, core.Trusted},
		"P-224":                   {[]string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"}, core.Untrusted},
		"certificate without key id": {[]string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
			"-addext", "subjectKeyIdentifier=none", "-addext", "authorityKeyIdentifier=none"}, core.Trusted},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			key, cert := filepath.Join(dir, "key"), filepath.Join(dir, "cert")
			run(t, append([]string{"openssl", "req", "-x509", "-nodes", "-days", "1", "-subj", "/CN=signer", "-keyout", key, "-out", cert}, c.options...)...)
			text, err := os.ReadFile(cert)
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(text)
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			label := unhex(t, lastLine(run(t, "evmctl", "ima_sign", "-n", "-a", "sha256", "--key", key, path)))
			got := judge(t, content, labelled(label), ima.NewKeys([]*x509.Certificate{certificate}))[0]
			if got.Standing != c.want || got.Reason == "" {
				t.Errorf("%v: %s", got.Standing, got.Reason)
			}
		})
	}
}

// unreadable fails at the first byte.
type unreadable struct{}

var errDisk = errors.New("disk on fire")

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

// Bytes that cannot be read are an error, whatever is to be compared with them.
func TestBytesThatCannotBeRead(t *testing.T) {
	s, content := cast(t), program()
	digest := digestLabel(t, content, "sha256")
	verity := labelled(verity3(t, content, s.good, "sha256"))
	for name, m := range map[string]*machine{
		"signature":          labelled(evmctlIMA(t, content, s.good, "sha256")),
		"digest":             labelled(digest),
		"fs-verity":          verity,
		"built-in signature": enabled(t, content, fsveritySign(t, content, s.good)),
	} {
		f := ima.File{Content: unreadable{}, Size: 10, System: m,
			Digest: func(context.Context, crypto.Hash) ([]byte, error) { return nil, errDisk }}
		if found, err := ima.Evidence(context.Background(), f, s.keys()); !errors.Is(err, errDisk) || found != nil {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// Nor is what EVM covers left out if it cannot be read.
func TestAnInodeThatCannotBeRead(t *testing.T) {
	s, content, n := cast(t), program(), inode()
	attributes := map[string][]byte{"security.ima": digestLabel(t, content, "sha256"), "security.selinux": []byte("bin_t")}
	seal := evmctlEVM(t, s.good, n, attributes, "--portable")
	for _, name := range []string{"inode", "security.selinux", "security.evm", "security.ima", "fs-verity"} {
		m := sealed(n, attributes, seal)
		m.failAt = name
		if _, err := ima.Evidence(context.Background(), file(content, m), s.keys()); !errors.Is(err, errDisk) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

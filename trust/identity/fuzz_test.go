package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/trust/tpm"
)

// fileIdentity makes an identity in a directory of the test's.
func fileIdentity(tb testing.TB) *Identity {
	tb.Helper()
	dir := tb.TempDir()
	c := Config{Dir: dir, Store: StoreSoftware, Host: "host.example", WriteAtomic: func(path string, data []byte, perm os.FileMode) error {
		return os.WriteFile(path, data, perm)
	}}
	if err := c.make(tb.Context(), false); err != nil {
		tb.Fatal(err)
	}
	i, err := open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return i
}

func FuzzRecord(f *testing.F) {
	i := fileIdentity(f)
	data, err := os.ReadFile(filepath.Join(i.config.Dir, "machine.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	inTPM := *i.record
	inTPM.Assurance, inTPM.Key = core.AssuranceTPM, nil
	inTPM.TPM = &tpmObjects{Key: tpm.Blob{Public: []byte{0, 0x23, 0, 11}, Private: []byte{1}}}
	data, err = json.Marshal(inTPM)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"version":1,"assurance":"software","key":"","chain":[]}`))
	f.Add([]byte(`{"version":1,"assurance":"tpm","tpm":{},"chain":[null]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseRecord(data)
		if err != nil {
			return
		}
		// What is accepted can be used, and means the same when written again.
		public, err := r.public()
		if err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseRecord(again)
		if err != nil {
			t.Fatal(err)
		}
		if key, err := second.public(); err != nil || !key.Equal(public) {
			t.Errorf("another key: %v", err)
		}
		if (r.Key != nil) != (r.Assurance == core.AssuranceSoftware) {
			t.Errorf("a key with assurance %s", r.Assurance)
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	i := fileIdentity(f)
	sealed, err := i.Seal(f.Context(), []byte("secret"), nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add([]byte(sealMagic + "T\x00\x01a\x00\x01b\x02\x07\x10" + "nonce-nonce-ciphertext"))
	f.Add([]byte(sealMagic + "T\xff\xff"))
	f.Add([]byte(sealMagic + "F"))
	f.Add([]byte(sealMagic))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := parseEnvelope(data)
		if err == nil && len(e.header)+len(e.nonce)+len(e.ciphertext) != len(data) {
			t.Errorf("parts of %d, %d and %d bytes of %d", len(e.header), len(e.nonce), len(e.ciphertext), len(data))
		}
		secret, err := i.Unseal(t.Context(), data, nil)
		if err == nil && !bytes.Equal(data, sealed) {
			t.Errorf("%x is unsealed: %q", data, secret)
		}
		if err != nil && !errors.Is(err, ErrSealed) {
			t.Errorf("%v", err)
		}
	})
}

func FuzzAttestation(f *testing.F) {
	nonce := make([]byte, tpm.MinNonce)
	for _, a := range []Attestation{
		{Version: 1, Nonce: nonce, Registers: map[uint]Hex{0: make([]byte, 32)}},
		{Version: 1, Nonce: nonce, MachineKey: []byte{0, 0x23}, AttestationKey: []byte{0, 0x23, 0, 11, 0, 5, 0, 0x72}, Quote: tpm.Statement{Said: []byte{0xff, 'T', 'C', 'G'}, Signature: []byte{0, 0x18}}},
	} {
		data, err := a.JSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"version":1,"registers":{"0":"zz","18446744073709551616":""}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := VerifyAttestation(data, nonce, VerifyOptions{}); !errors.Is(err, ErrAttestation) {
			t.Errorf("%s: %v", data, err)
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add([]byte(`{"credential":"AAAA","secret":"AAAA"}`))
	f.Add([]byte(`{"credential":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseChallenge(data)
		if err == nil && (len(c.Credential) == 0 || len(c.Credential) > maxChallenge || len(c.Secret) == 0 || len(c.Secret) > maxChallenge) {
			t.Errorf("%d and %d bytes", len(c.Credential), len(c.Secret))
		}
	})
}

func FuzzChain(f *testing.F) {
	i := fileIdentity(f)
	f.Add(i.PublicKeyPEM())
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		chain, err := readChain(text)
		if err != nil {
			return
		}
		if usable(chain, i.public, chain[0].NotBefore) == nil && !i.public.Equal(chain[0].PublicKey) {
			t.Error("a certificate for another key")
		}
	})
}

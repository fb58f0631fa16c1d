package tpm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"go.uber.org/goleak"

	"kpm/core/port"
	"kpm/platform"
	"kpm/trust/tpm"
	"kpm/trust/tpm/tpmtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func connect(tb testing.TB, device string) port.TPM {
	tb.Helper()
	conn, err := platform.Tools("").Keys.OpenTPM(device)
	if err != nil {
		tb.Fatal(err)
	}
	return conn
}

func open(tb testing.TB, conn port.TPM, known tpm.Memory) *tpm.Device {
	tb.Helper()
	d, err := tpm.Open(tb.Context(), conn, known)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := d.Close(); err != nil {
			tb.Error(err)
		}
	})
	return d
}

// machine is a TPM and where it is.
type machine struct {
	*tpm.Device
	path string
}

// device opens the TPM of the test for the first time.
func device(tb testing.TB) machine {
	tb.Helper()
	path := tpmtest.Device(tb)
	return machine{open(tb, connect(tb, path), tpm.Memory{}), path}
}

// again opens it as a machine does that was started again.
func (m machine) again(tb testing.TB) machine {
	tb.Helper()
	return machine{open(tb, connect(tb, m.path), m.Memory()), m.path}
}

func must[T any](tb testing.TB) func(T, error) T {
	return func(value T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return value
	}
}

func signer(tb testing.TB, d machine) (*tpm.Signer, tpm.Blob) {
	tb.Helper()
	blob := must[tpm.Blob](tb)(d.CreateKey(tb.Context()))
	return must[*tpm.Signer](tb)(d.Signer(blob)), blob
}

var digest = sha256.Sum256([]byte("what is signed"))

func checkSigns(tb testing.TB, s *tpm.Signer) {
	tb.Helper()
	signature, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	if !ecdsa.VerifyASN1(s.Public().(*ecdsa.PublicKey), digest[:], signature) {
		tb.Error("the signature does not verify")
	}
}

func TestDeviceSigns(t *testing.T) {
	d := device(t)
	s, blob := signer(t, d)
	checkSigns(t, s)
	checkSigns(t, s) // now from what was saved

	checkSigns(t, must[*tpm.Signer](t)(d.again(t).Signer(blob)))
}

func TestDeviceSignsSHA256DigestsOnly(t *testing.T) {
	s, _ := signer(t, device(t))
	for _, c := range []struct {
		name   string
		digest []byte
		opts   crypto.SignerOpts
	}{
		{"no hash", digest[:], nil},
		{"none", digest[:], crypto.Hash(0)},
		{"SHA-384", make([]byte, 48), crypto.SHA384},
		{"SHA-1", make([]byte, 20), crypto.SHA1},
		{"short", digest[:31], crypto.SHA256},
		{"long", append(digest[:], 0), crypto.SHA256},
		{"empty", nil, crypto.SHA256},
	} {
		if signature, err := s.Sign(rand.Reader, c.digest, c.opts); err == nil {
			t.Errorf("%s: signed: %x", c.name, signature)
		}
	}
}

func TestDeviceKeepsItsKeys(t *testing.T) {
	d := device(t)
	for name, create := range map[string]func(context.Context) (tpm.Blob, error){
		"machine key": d.CreateKey, "attestation key": d.CreateAttestationKey,
	} {
		blob := must[tpm.Blob](t)(create(t.Context()))
		public := must[*tpm2.TPMTPublic](t)(tpm2.Unmarshal[tpm2.TPMTPublic](blob.Public))
		want := tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, NoDA: true,
			SignEncrypt: true, Restricted: name == "attestation key",
		}
		if public.ObjectAttributes != want {
			t.Errorf("%s: %+v, expected %+v", name, public.ObjectAttributes, want)
		}
	}
}

func TestDeviceSigners(t *testing.T) {
	d := device(t)
	var wait sync.WaitGroup
	for range 4 {
		s, _ := signer(t, d)
		for range 2 {
			wait.Go(func() {
				for range 3 {
					checkSigns(t, s)
				}
			})
		}
	}
	wait.Wait()
}

// A TPM has room for three objects and three sessions; what is left there is
// missing to somebody.
func TestDeviceLeavesNothingInside(t *testing.T) {
	d := device(t)
	s, key := signer(t, d)
	checkSigns(t, s)
	ak := must[tpm.Blob](t)(d.CreateAttestationKey(t.Context()))
	nonce := make([]byte, tpm.MinNonce)
	for range 5 {
		must[tpm.Statement](t)(d.Certify(t.Context(), ak, key, nonce))
		if _, _, err := d.Quote(t.Context(), ak, nonce, []uint{0, 1, 2, 3, 4, 5, 6, 7, 8, 23}); err != nil {
			t.Fatal(err)
		}
		sealed := must[tpm.Blob](t)(d.Seal(t.Context(), []byte("x"), []uint{16}))
		must[[]byte](t)(d.Unseal(t.Context(), sealed, []uint{16}))
		if _, err := d.Unseal(t.Context(), sealed, nil); err == nil {
			t.Fatal("unsealed without the registers")
		}
	}
	conn := connect(t, d.path)
	defer conn.Close()
	for name, first := range map[string]uint32{"objects": 0x80000000, "HMAC sessions": 0x02000000, "policy sessions": 0x03000000} {
		r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 10}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
		list, err := r.CapabilityData.Data.Handles()
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Handle) != 0 {
			t.Errorf("%s that are left: %x", name, list.Handle)
		}
	}
}

func TestDeviceInfo(t *testing.T) {
	info, err := device(t).Info(t.Context())
	if err != nil || info.Manufacturer == "" || info.Firmware == "0.0.0.0" || info.Revision < "1.16" || info.Lockout {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestDeviceSeals(t *testing.T) {
	d := device(t)
	for _, size := range []int{1, 32, tpm.MaxSealed} {
		secret := make([]byte, size)
		rand.Read(secret)
		sealed := must[tpm.Blob](t)(d.Seal(t.Context(), secret, nil))
		if got := must[[]byte](t)(d.Unseal(t.Context(), sealed, nil)); !bytes.Equal(got, secret) {
			t.Errorf("%d bytes come back as %x", size, got)
		}
		if got := must[[]byte](t)(d.again(t).Unseal(t.Context(), sealed, nil)); !bytes.Equal(got, secret) {
			t.Errorf("%d bytes come back as %x", size, got)
		}
	}
	for _, secret := range [][]byte{nil, make([]byte, tpm.MaxSealed+1)} {
		if _, err := d.Seal(t.Context(), secret, nil); err == nil {
			t.Errorf("%d bytes are sealed", len(secret))
		}
	}
	for _, registers := range [][]uint{{24}, {1, 1}, {2, 1}} {
		if _, err := d.Seal(t.Context(), []byte("x"), registers); err == nil {
			t.Errorf("sealed to registers %v", registers)
		}
	}
}

// Register 16 is for debugging, and everyone may set it back.
func TestDeviceSealsToRegisters(t *testing.T) {
	d := device(t)
	conn := connect(t, d.path)
	defer conn.Close()
	registers := []uint{7, 16}
	sealed := must[tpm.Blob](t)(d.Seal(t.Context(), []byte("secret"), registers))
	if got, err := d.Unseal(t.Context(), sealed, registers); err != nil || string(got) != "secret" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, wrong := range [][]uint{nil, {7}, {16}, {6, 16}, {7, 16, 17}} {
		if got, err := d.Unseal(t.Context(), sealed, wrong); !errors.Is(err, tpm.ErrPCR) {
			t.Errorf("registers %v instead: %q, %v", wrong, got, err)
		}
	}
	extend(t, conn, 16)
	if got, err := d.Unseal(t.Context(), sealed, registers); !errors.Is(err, tpm.ErrPCR) {
		t.Errorf("with another value: %q, %v", got, err)
	}
	reset(t, conn, 16)
	if got, err := d.Unseal(t.Context(), sealed, registers); err != nil || string(got) != "secret" {
		t.Errorf("with the value restored: %q, %v", got, err)
	}
}

func extend(t *testing.T, conn port.TPM, register uint32) {
	t.Helper()
	_, err := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(register), Auth: tpm2.PasswordAuth(nil)},
		Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}},
	}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
}

func reset(t *testing.T, conn port.TPM, register uint32) {
	t.Helper()
	_, err := tpm2.PCRReset{PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(register), Auth: tpm2.PasswordAuth(nil)}}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
}

// A bit changed anywhere in a stored blob makes it useless.
func TestDeviceRefusesChangedBlobs(t *testing.T) {
	d := device(t)
	_, key := signer(t, d)
	sealed := must[tpm.Blob](t)(d.Seal(t.Context(), []byte("secret"), nil))
	changes := map[string]func([]byte) []byte{
		"nothing left": func([]byte) []byte { return nil },
		"cut":          func(b []byte) []byte { return b[:len(b)-1] },
		"longer":       func(b []byte) []byte { return append(bytes.Clone(b), 0) },
		"huge":         func(b []byte) []byte { return append(bytes.Clone(b), make([]byte, 1<<20)...) },
	}
	for i := 0; i < 200; i += 7 {
		changes[fmt.Sprintf("bit %d", 8*i+i%8)] = func(b []byte) []byte {
			b = bytes.Clone(b)
			b[i%len(b)] ^= 1 << (i % 8)
			return b
		}
	}
	for name, change := range changes {
		for part, changed := range map[string][2]tpm.Blob{
			"public":  {{Public: change(key.Public), Private: key.Private}, {Public: change(sealed.Public), Private: sealed.Private}},
			"private": {{Public: key.Public, Private: change(key.Private)}, {Public: sealed.Public, Private: change(sealed.Private)}},
		} {
			s, err := d.Signer(changed[0])
			if err == nil {
				_, err = s.Sign(rand.Reader, digest[:], crypto.SHA256)
			}
			if !errors.Is(err, tpm.ErrBlob) {
				t.Errorf("key, %s: %s: %v", part, name, err)
			}
			if got, err := d.Unseal(t.Context(), changed[1], nil); !errors.Is(err, tpm.ErrBlob) {
				t.Errorf("secret, %s: %s: %q, %v", part, name, got, err)
			}
		}
	}
}

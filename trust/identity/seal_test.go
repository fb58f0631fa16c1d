package identity_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"kpm/platform"
	"kpm/trust/identity"
	"kpm/trust/tpm"
	"kpm/trust/tpm/tpmtest"
)

func sealed(tb testing.TB, i *identity.Identity, secret, associated []byte) []byte {
	tb.Helper()
	data, err := i.Seal(tb.Context(), secret, associated)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func checkUnseals(t *testing.T, i *identity.Identity, data, associated, want []byte) {
	t.Helper()
	if got, err := i.Unseal(t.Context(), data, associated); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%q, %v, expected %q", got, err, want)
	}
}

func TestDeviceSeals(t *testing.T) { sealsAndUnseals(t, inTPM(t)) }

func TestAFileSeals(t *testing.T) { sealsAndUnseals(t, inFile(t)) }

func sealsAndUnseals(t *testing.T, c identity.Config) {
	i := open(t, c)
	large := make([]byte, identity.MaxSecret)
	rand.Read(large)
	for _, secret := range [][]byte{nil, []byte("x"), []byte("what nobody is to know"), large} {
		for _, associated := range [][]byte{nil, []byte("KeeperPolicy.token")} {
			data := sealed(t, i, secret, associated)
			if len(secret) > 1 && bytes.Contains(data, secret) {
				t.Fatal("the secret is there to see")
			}
			checkUnseals(t, i, data, associated, secret)
			checkUnseals(t, open(t, c), data, associated, secret)
			if got, err := i.Unseal(t.Context(), data, []byte("another's")); !errors.Is(err, identity.ErrSealed) {
				t.Errorf("for something else: %q, %v", got, err)
			}
		}
	}
	if bytes.Equal(sealed(t, i, []byte("x"), nil), sealed(t, i, []byte("x"), nil)) {
		t.Error("the same secret looks the same")
	}
	if _, err := i.Seal(t.Context(), append(large, 0), nil); err == nil {
		t.Error("more than MaxSecret is sealed")
	}
}

func TestDeviceSealsWhatNobodyChanged(t *testing.T) { refusesChanges(t, inTPM(t), 7) }

func TestAFileSealsWhatNobodyChanged(t *testing.T) { refusesChanges(t, inFile(t), 1) }

func refusesChanges(t *testing.T, c identity.Config, step int) {
	i := open(t, c)
	secret, associated := []byte("what nobody is to know"), []byte("name")
	data := sealed(t, i, secret, associated)
	for at := 0; at < len(data); at += step {
		changed := bytes.Clone(data)
		changed[at] ^= 0x20
		if got, err := i.Unseal(t.Context(), changed, associated); !errors.Is(err, identity.ErrSealed) {
			t.Errorf("byte %d of %d: %q, %v", at, len(data), got, err)
		}
		if got, err := i.Unseal(t.Context(), data[:at], associated); !errors.Is(err, identity.ErrSealed) {
			t.Errorf("the first %d bytes: %q, %v", at, got, err)
		}
	}
	// The border between what is authenticated besides cannot be moved.
	if got, err := i.Unseal(t.Context(), append(bytes.Clone(data), 0), associated); !errors.Is(err, identity.ErrSealed) {
		t.Errorf("a byte more: %q, %v", got, err)
	}
	checkUnseals(t, i, data, associated, secret)
}

func TestWhatIsSealedElsewhereStaysSealed(t *testing.T) {
	machines := map[string]*identity.Identity{
		"TPM": open(t, config(t, identity.StoreTPM, tpmtest.New(t))), "another TPM": open(t, config(t, identity.StoreTPM, tpmtest.New(t))),
		"file": open(t, inFile(t)), "another file": open(t, inFile(t)),
	}
	for from, here := range machines {
		data := sealed(t, here, []byte("secret"), nil)
		for to, there := range machines {
			got, err := there.Unseal(t.Context(), data, nil)
			if (err == nil) != (from == to) || err != nil && !errors.Is(err, identity.ErrSealed) {
				t.Errorf("sealed by %s, unsealed by %s: %q, %v", from, to, got, err)
			}
		}
	}
}

// What was sealed in a file is read by a machine that has moved to its TPM, and
// what a TPM has sealed is not read without it.
func TestWhatIsSealedWhenTheKeyMoves(t *testing.T) {
	device := tpmtest.New(t)
	c := config(t, identity.StoreSoftware, device)
	before := sealed(t, open(t, c), []byte("before"), nil)
	c.Store = identity.StoreTPM
	if err := identity.Rotate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	i := open(t, c)
	checkUnseals(t, i, before, nil, []byte("before"))
	after := sealed(t, i, []byte("after"), nil)
	c.Store = identity.StoreSoftware
	if err := identity.Rotate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	i = open(t, c)
	checkUnseals(t, i, before, nil, []byte("before"))
	if got, err := i.Unseal(t.Context(), after, nil); !errors.Is(err, identity.ErrSealed) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDeviceSealsToRegisters(t *testing.T) {
	c := inTPM(t)
	c.Registers = []uint{7, 16}
	i := open(t, c)
	data := sealed(t, i, []byte("secret"), nil)
	checkUnseals(t, i, data, nil, []byte("secret"))
	free := c
	free.Registers = nil
	checkUnseals(t, open(t, free), data, nil, []byte("secret")) // what is sealed says to what
	conn, err := platform.Tools("").Keys.OpenTPM(c.Device)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	register := tpm2.AuthHandle{Handle: 16, Auth: tpm2.PasswordAuth(nil)}
	_, err = tpm2.PCRExtend{PCRHandle: register, Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: digest[:]}}}}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := i.Unseal(t.Context(), data, nil); !errors.Is(err, tpm.ErrPCR) || !errors.Is(err, identity.ErrSealed) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := (tpm2.PCRReset{PCRHandle: register}).Execute(conn); err != nil {
		t.Fatal(err)
	}
	checkUnseals(t, i, data, nil, []byte("secret"))
}

func TestASealKeyThatIsGoneOrDamaged(t *testing.T) {
	for name, data := range map[string][]byte{"gone": nil, "short": make([]byte, 31), "long": make([]byte, 33)} {
		c := inFile(t)
		i := open(t, c)
		before := sealed(t, i, []byte("secret"), nil)
		path := filepath.Join(c.Dir, "seal.key")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if data != nil {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := i.Unseal(t.Context(), before, nil); !errors.Is(err, identity.ErrSealed) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if got, err := i.Seal(t.Context(), []byte("secret"), nil); err == nil {
			t.Errorf("%s: sealed %x", name, got)
		}
		if s := inspect(t, c); len(s.Problems) != 1 {
			t.Errorf("%s: %q", name, s.Problems)
		}
	}
}

func BenchmarkDeviceSeal(b *testing.B) {
	i := open(b, inTPM(b))
	for b.Loop() {
		sealed(b, i, []byte("secret"), nil)
	}
}

func BenchmarkDeviceUnseal(b *testing.B) {
	i := open(b, inTPM(b))
	data := sealed(b, i, []byte("secret"), nil)
	for b.Loop() {
		if _, err := i.Unseal(b.Context(), data, nil); err != nil {
			b.Fatal(err)
		}
	}
}

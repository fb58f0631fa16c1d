package identity_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform"
	"kpm/trust/identity"
	"kpm/trust/tpm"
	"kpm/trust/tpm/tpmtest"
)

func TestMain(m *testing.M) {
	rotateForEver() // as the process that TestRotateSurvivesKill kills
	goleak.VerifyTestMain(m)
}

// writeAtomic is what the port promises, without the durability.
func writeAtomic(path string, data []byte, perm os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Chmod(perm), f.Close(), os.Rename(f.Name(), path))
}

// lock is a lock file that a crash leaves locked, unlike the port's.
func lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return unlocker{f}, nil
}

type unlocker struct{ *os.File }

func (u unlocker) Close() error { return errors.Join(u.File.Close(), os.Remove(u.Name())) }

func config(tb testing.TB, store, device string) identity.Config {
	tb.Helper()
	return identity.Config{
		Dir: filepath.Join(tb.TempDir(), "identity"), Keys: platform.Tools("").Keys, Device: device, Store: store,
		Host: "host.example", WriteAtomic: writeAtomic, Lock: lock,
	}
}

// inTPM has its key in the TPM of the test, inFile in a file.
func inTPM(tb testing.TB) identity.Config {
	tb.Helper()
	return config(tb, identity.StoreAuto, tpmtest.Device(tb))
}

func inFile(tb testing.TB) identity.Config {
	tb.Helper()
	return config(tb, identity.StoreSoftware, "")
}

func open(tb testing.TB, c identity.Config) *identity.Identity {
	tb.Helper()
	i, err := identity.Open(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := i.Close(); err != nil {
			tb.Error(err)
		}
	})
	return i
}

var digest = sha256.Sum256([]byte("what is signed"))

func checkSigns(tb testing.TB, i *identity.Identity) {
	tb.Helper()
	signature, err := i.Signer().Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		tb.Fatal(err)
	}
	block, _ := pem.Decode(i.PublicKeyPEM())
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		tb.Fatal(err)
	}
	if !ecdsa.VerifyASN1(public.(*ecdsa.PublicKey), digest[:], signature) {
		tb.Error("the signature does not verify")
	}
	id, err := identity.KeyID(public.(*ecdsa.PublicKey))
	if err != nil || id != i.KeyID() {
		tb.Errorf("key id %s, expected %s (%v)", i.KeyID(), id, err)
	}
	if signature, err := i.Signer().Sign(rand.Reader, make([]byte, 48), crypto.SHA384); err == nil {
		tb.Errorf("SHA-384: %x", signature)
	}
}

func inspect(tb testing.TB, c identity.Config) identity.Status {
	tb.Helper()
	s, err := identity.Inspect(tb.Context(), c)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func machineFile(c identity.Config) string { return filepath.Join(c.Dir, "machine.json") }

func TestDeviceIdentity(t *testing.T) {
	c := inTPM(t)
	if s := inspect(t, c); s.State != identity.Absent || len(s.Problems) != 1 {
		t.Errorf("before: %+v", s)
	}
	i := open(t, c)
	checkSigns(t, i)
	again := open(t, c)
	checkSigns(t, again)
	if i.KeyID() != again.KeyID() || i.Assurance() != core.AssuranceTPM {
		t.Errorf("%s in %s, then %s", i.KeyID(), i.Assurance(), again.KeyID())
	}
	s := inspect(t, c)
	if s.State != identity.Ready || s.KeyID != i.KeyID() || s.Assurance != core.AssuranceTPM || s.TPM == nil || s.TPM.Manufacturer == "" ||
		!strings.Contains(s.SealedUnder, "TPM") || len(s.Problems) != 0 || s.Certificate.Issued || s.Certificate.DaysLeft < 3640 ||
		s.Certificate.Subject != "CN=host.example,OU=key assurance: tpm" {
		t.Errorf("%+v, %+v", s, s.Certificate)
	}
}

func TestAKeyInAFile(t *testing.T) {
	c := inFile(t)
	i := open(t, c)
	checkSigns(t, i)
	again := open(t, c)
	checkSigns(t, again)
	if i.KeyID() != again.KeyID() || i.Assurance() != core.AssuranceSoftware {
		t.Errorf("%s in %s, then %s", i.KeyID(), i.Assurance(), again.KeyID())
	}
	if _, ok := i.Signer().(*ecdsa.PrivateKey); ok {
		t.Error("the signer gives the key away")
	}
	s := inspect(t, c)
	if s.State != identity.Ready || s.Assurance != core.AssuranceSoftware || s.TPM != nil || len(s.Problems) != 0 ||
		!strings.Contains(strings.Join(s.Notes, " "), "in a file") || s.Certificate.Subject != "CN=host.example,OU=key assurance: software" {
		t.Errorf("%+v, %+v", s, s.Certificate)
	}
}

// store is a port.KeyStore that a test makes up.
type store func() (port.TPM, error)

func (s store) OpenTPM(string) (port.TPM, error) { return s() }

// answering is a TPM that gives one answer to everything.
type answering struct{ code byte }

func (a answering) Send([]byte) ([]byte, error) {
	return []byte{0x80, 0x01, 0, 0, 0, 10, 0, 0, 9 * (a.code >> 7), a.code &^ 0x80}, nil
}
func (answering) Close() error { return nil }

func TestWhereTheKeyIsMade(t *testing.T) {
	owned := tpmtest.New(t)
	conn, err := platform.Tools("").Keys.OpenTPM(owned)
	if err != nil {
		t.Fatal(err)
	}
	_, err = tpm2.HierarchyChangeAuth{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		NewAuth:    tpm2.TPM2BAuth{Buffer: []byte("password")},
	}.Execute(conn)
	if err = errors.Join(err, conn.Close()); err != nil {
		t.Fatal(err)
	}
	none := store(func() (port.TPM, error) { return nil, port.ErrNoTPM })
	denied := store(func() (port.TPM, error) { return nil, os.ErrPermission })
	lockedOut := store(func() (port.TPM, error) { return answering{0x80 | 0x21}, nil })
	failing := store(func() (port.TPM, error) { return answering{0x80 | 0x7f}, nil })
	for name, row := range map[string]struct {
		keys   port.KeyStore
		device string
		want   map[string]any // by store: a core.Assurance or an error; nil is any error
	}{
		"no way to one": {nil, "", map[string]any{"auto": core.AssuranceSoftware, "tpm": port.ErrNoTPM, "software": core.AssuranceSoftware}},
		"none":          {none, "", map[string]any{"auto": core.AssuranceSoftware, "tpm": port.ErrNoTPM, "software": core.AssuranceSoftware}},
		"an owner":      {platform.Tools("").Keys, owned, map[string]any{"auto": core.AssuranceSoftware, "tpm": tpm.ErrRefusedAuth, "software": core.AssuranceSoftware}},
		"denied":        {denied, "", map[string]any{"auto": os.ErrPermission, "tpm": os.ErrPermission, "software": core.AssuranceSoftware}},
		"lockout":       {lockedOut, "", map[string]any{"auto": tpm.ErrLockout, "tpm": tpm.ErrLockout}},
		"nonsense":      {failing, "", map[string]any{"auto": nil, "tpm": nil}},
		"a good one":    {platform.Tools("").Keys, tpmtest.New(t), map[string]any{"auto": core.AssuranceTPM, "tpm": core.AssuranceTPM, "software": core.AssuranceSoftware, "both": nil, "": nil}},
	} {
		for store, want := range row.want {
			c := config(t, store, row.device)
			c.Keys = row.keys
			i, err := identity.Open(t.Context(), c)
			switch want := want.(type) {
			case core.Assurance:
				if err != nil || i.Assurance() != want {
					t.Errorf("%s, store %q: %v, expected %s", name, store, err, want)
					continue
				}
				i.Close()
				s := inspect(t, c)
				if said := strings.Contains(strings.Join(s.Notes, " "), "in a file: "); said != (want == core.AssuranceSoftware && store == "auto") {
					t.Errorf("%s, store %q: whether the status says why the key is in a file: %v: %q", name, store, said, s.Notes)
				}
			case error:
				if !errors.Is(err, want) {
					t.Errorf("%s, store %q: %v, expected %v", name, store, err, want)
				}
			default:
				if err == nil {
					t.Errorf("%s, store %q: no error", name, store)
				}
			}
			if _, err := os.Stat(machineFile(c)); want != core.AssuranceSoftware && want != core.AssuranceTPM && err == nil {
				t.Errorf("%s, store %q: a key was made", name, store)
			}
		}
	}
}

// What can happen to a key in a TPM ends in an error that says which, never in
// another key, and Rotate helps.
func TestAKeyInATPMThatCannotBeUsed(t *testing.T) {
	clearTPM := func(t *testing.T, device string) {
		conn, err := platform.Tools("").Keys.OpenTPM(device)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}.Execute(conn)
		if err = errors.Join(err, conn.Close()); err != nil {
			t.Fatal(err)
		}
	}
	swapKeys := func(t *testing.T, c identity.Config, change func(map[string]any)) {
		data, err := os.ReadFile(machineFile(c))
		if err != nil {
			t.Fatal(err)
		}
		var record map[string]any
		if err := json.Unmarshal(data, &record); err != nil {
			t.Fatal(err)
		}
		change(record["tpm"].(map[string]any))
		if data, err = json.Marshal(record); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(machineFile(c), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, row := range map[string]struct {
		happens func(*testing.T, *identity.Config)
		want    error
		stays   bool // Rotate makes no key either, and says so
	}{
		"cleared":      {func(t *testing.T, c *identity.Config) { clearTPM(t, c.Device) }, tpm.ErrCleared, false},
		"another":      {func(t *testing.T, c *identity.Config) { c.Device = tpmtest.New(t) }, tpm.ErrOtherTPM, false},
		"gone":         {func(_ *testing.T, c *identity.Config) { c.Keys = nil }, port.ErrNoTPM, true},
		"not wanted":   {func(_ *testing.T, c *identity.Config) { c.Store = identity.StoreSoftware }, identity.ErrElsewhere, false},
		"file is gone": {func(_ *testing.T, c *identity.Config) { os.Remove(machineFile(*c)) }, identity.ErrLost, false},
		"file is empty": {func(_ *testing.T, c *identity.Config) {
			os.WriteFile(machineFile(*c), nil, 0o600)
		}, identity.ErrDamaged, false},
		"blob is another's": {func(t *testing.T, c *identity.Config) {
			there, err := platform.Tools("").Keys.OpenTPM(tpmtest.New(t))
			if err != nil {
				t.Fatal(err)
			}
			device, err := tpm.Open(t.Context(), there, tpm.Memory{})
			if err != nil {
				t.Fatal(err)
			}
			stranger, err := device.CreateKey(t.Context())
			if err = errors.Join(err, device.Close()); err != nil {
				t.Fatal(err)
			}
			swapKeys(t, *c, func(objects map[string]any) {
				objects["key"].(map[string]any)["private"] = base64.StdEncoding.EncodeToString(stranger.Private)
			})
		}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t, identity.StoreAuto, tpmtest.New(t))
			old := open(t, c)
			row.happens(t, &c)
			i, err := identity.Open(t.Context(), c)
			if row.want == nil { // a blob is looked at when it is used
				if err != nil {
					t.Fatal(err)
				}
				_, err = i.Signer().Sign(rand.Reader, digest[:], crypto.SHA256)
				row.want = tpm.ErrBlob
				i.Close()
			}
			if !errors.Is(err, row.want) {
				t.Errorf("%v, expected %v", err, row.want)
			}
			s := inspect(t, c)
			if s.State != identity.Broken || len(s.Problems) == 0 || !strings.Contains(strings.Join(s.Problems, " "), "trust rotate") {
				t.Errorf("status: %+v", s)
			}
			err = identity.Rotate(t.Context(), c)
			if row.stays {
				if err == nil || !strings.Contains(err.Error(), "was made in a TPM") {
					t.Errorf("rotate: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			fresh := open(t, c)
			checkSigns(t, fresh)
			if fresh.KeyID() == old.KeyID() {
				t.Error("the key is still the same")
			}
			s = inspect(t, c)
			if s.State != identity.Ready || len(s.Retired) != 1 || s.Retired[0] != old.KeyID() {
				t.Errorf("status after it: %+v", s)
			}
			keys, err := identity.PublicKeys(c.Dir)
			if err != nil || len(keys) != 2 || !bytes.Equal(keys[old.KeyID()], old.PublicKeyPEM()) || !bytes.Equal(keys[fresh.KeyID()], fresh.PublicKeyPEM()) {
				t.Errorf("public keys: %v, %v", keys, err)
			}
		})
	}
}

// Each bit of the file of a key counts, or does not matter: it is never another
// key that comes out.
func TestAFileThatWasChanged(t *testing.T) {
	c := inFile(t)
	i := open(t, c)
	whole, err := os.ReadFile(machineFile(c))
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		changed := bytes.Clone(whole)
		changed[at] ^= 1 << (at % 7)
		if err := os.WriteFile(machineFile(c), changed, 0o600); err != nil {
			t.Fatal(err)
		}
		other, err := identity.Open(t.Context(), c)
		if err == nil && other.KeyID() != i.KeyID() {
			t.Fatalf("byte %d: another key", at)
		}
		if err != nil && !errors.Is(err, identity.ErrDamaged) && !errors.Is(err, identity.ErrElsewhere) {
			t.Fatalf("byte %d: %v", at, err)
		}
	}
	for name, data := range map[string][]byte{
		"cut": whole[:len(whole)/2], "twice": append(bytes.Clone(whole), whole...), "huge": bytes.Repeat([]byte(" "), 1<<20),
	} {
		if err := os.WriteFile(machineFile(c), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := identity.Open(t.Context(), c); !errors.Is(err, identity.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyOneChangesIt(t *testing.T) {
	c := inFile(t)
	open(t, c)
	held, err := lock(filepath.Join(c.Dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := identity.Rotate(t.Context(), c); err == nil {
		t.Error("rotated while somebody else changes it")
	}
	open(t, c) // reading goes on
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := identity.Rotate(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestPublicKeysThatAreNone(t *testing.T) {
	c := inFile(t)
	i := open(t, c)
	keys := filepath.Join(c.Dir, "keys")
	for name, text := range map[string]string{
		strings.Repeat("0", 64) + ".pem": string(i.PublicKeyPEM()), "empty.pem": "", "note.txt": string(i.PublicKeyPEM()),
	} {
		if err := os.WriteFile(filepath.Join(keys, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := identity.PublicKeys(c.Dir); err != nil || len(got) != 1 || got[i.KeyID()] == nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := identity.PublicKeys(t.TempDir()); err != nil || len(got) != 0 {
		t.Errorf("%v, %v", got, err)
	}
}

func TestACallerThatGivesUp(t *testing.T) {
	c := config(t, identity.StoreTPM, tpmtest.New(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := identity.Open(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	checkSigns(t, open(t, c))
}

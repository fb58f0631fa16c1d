package tpm_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"kpm/core/port"
	"kpm/platform"
	"kpm/trust/tpm"
	"kpm/trust/tpm/tpmtest"
)

func newMachine(tb testing.TB) machine {
	tb.Helper()
	path := tpmtest.New(tb)
	return machine{open(tb, connect(tb, path), tpm.Memory{}), path}
}

func clearTPM(t *testing.T, path string) {
	t.Helper()
	conn := connect(t, path)
	defer conn.Close()
	auth := tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}
	if _, err := (tpm2.Clear{AuthHandle: auth}).Execute(conn); err != nil {
		t.Fatal(err)
	}
}

func TestAClearedTPM(t *testing.T) {
	d := newMachine(t)
	s, key := signer(t, d)
	checkSigns(t, s)
	sealed := must[tpm.Blob](t)(d.Seal(t.Context(), []byte("secret"), nil))
	clearTPM(t, d.path)

	// Who has it open meanwhile, and who opens it as what it was.
	if _, err := s.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, tpm.ErrCleared) {
		t.Errorf("sign: %v", err)
	}
	if got, err := d.Unseal(t.Context(), sealed, nil); !errors.Is(err, tpm.ErrCleared) {
		t.Errorf("unseal: %q, %v", got, err)
	}
	if _, err := tpm.Open(t.Context(), connect(t, d.path), d.Memory()); !errors.Is(err, tpm.ErrCleared) || errors.Is(err, tpm.ErrOtherTPM) {
		t.Errorf("open: %v", err)
	}
	withoutEndorsement := d.Memory()
	withoutEndorsement.Endorsement = nil
	if _, err := tpm.Open(t.Context(), connect(t, d.path), withoutEndorsement); !errors.Is(err, tpm.ErrCleared) || !errors.Is(err, tpm.ErrOtherTPM) {
		t.Errorf("open without the endorsement key: %v", err)
	}

	// Who opens it anew has a usable TPM, and the old blobs are waste.
	anew := machine{open(t, connect(t, d.path), tpm.Memory{}), d.path}
	old := must[*tpm.Signer](t)(anew.Signer(key))
	if _, err := old.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, tpm.ErrBlob) {
		t.Errorf("sign with the old key: %v", err)
	}
	fresh, _ := signer(t, anew)
	checkSigns(t, fresh)
}

func TestAnotherTPM(t *testing.T) {
	here, there := newMachine(t), newMachine(t)
	_, key := signer(t, here)
	if _, err := tpm.Open(t.Context(), connect(t, there.path), here.Memory()); !errors.Is(err, tpm.ErrOtherTPM) || errors.Is(err, tpm.ErrCleared) {
		t.Errorf("open: %v", err)
	}
	stolen := must[*tpm.Signer](t)(there.Signer(key))
	if _, err := stolen.Sign(rand.Reader, digest[:], crypto.SHA256); !errors.Is(err, tpm.ErrBlob) {
		t.Errorf("sign with a key of another TPM's: %v", err)
	}
}

// What was saved in the TPM's own format dies when it is switched off.
func TestATPMThatIsSwitchedOff(t *testing.T) {
	state, path := t.TempDir(), tpmtest.Socket(t)
	stop := tpmtest.Run(t, state, path)
	d := machine{open(t, connect(t, path), tpm.Memory{}), path}
	s, key := signer(t, d)
	checkSigns(t, s)
	stop()
	if _, err := s.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil || errors.Is(err, tpm.ErrTampered) {
		t.Errorf("while it is off: %v", err)
	}
	t.Cleanup(tpmtest.Run(t, state, path))
	checkSigns(t, s)
	checkSigns(t, must[*tpm.Signer](t)(d.again(t).Signer(key)))
}

// The storage key may lie ready at its usual place.
func TestThePersistentStorageKey(t *testing.T) {
	path := tpmtest.New(t)
	conn := connect(t, path)
	defer conn.Close()
	persist := func(template tpm2.TPMTPublic) {
		t.Helper()
		r, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(template)}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
		defer tpm2.FlushContext{FlushHandle: r.ObjectHandle}.Execute(conn)
		_, err = tpm2.EvictControl{
			Auth:             tpm2.TPMRHOwner,
			ObjectHandle:     tpm2.NamedHandle{Handle: r.ObjectHandle, Name: r.Name},
			PersistentHandle: 0x81000001,
		}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
	}
	evict := func() {
		t.Helper()
		r, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81000001)}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
		_, err = tpm2.EvictControl{
			Auth:             tpm2.TPMRHOwner,
			ObjectHandle:     tpm2.NamedHandle{Handle: 0x81000001, Name: r.Name},
			PersistentHandle: 0x81000001,
		}.Execute(conn)
		if err != nil {
			t.Fatal(err)
		}
	}
	// An RSA key there, as Windows has it, is nothing to us.
	persist(tpm2.RSASRKTemplate)
	first := open(t, connect(t, path), tpm.Memory{})
	s, key := signer(t, machine{first, path})
	checkSigns(t, s)
	evict()
	// Ours, put there by somebody else meanwhile, is.
	persist(tpm2.ECCSRKTemplate)
	checkSigns(t, s)
	second := open(t, connect(t, path), first.Memory())
	checkSigns(t, must[*tpm.Signer](t)(second.Signer(key)))
	evict()
	checkSigns(t, s)

	// One that differs in the field that may differ is found, and found again
	// when it no longer lies ready.
	empty := tpm2.ECCSRKTemplate
	empty.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	persist(empty)
	third := open(t, connect(t, path), tpm.Memory{})
	s, key = signer(t, machine{third, path})
	checkSigns(t, s)
	evict()
	fourth := open(t, connect(t, path), third.Memory())
	checkSigns(t, must[*tpm.Signer](t)(fourth.Signer(key)))
}

func TestATPMWithAnOwner(t *testing.T) {
	path := tpmtest.New(t)
	conn := connect(t, path)
	defer conn.Close()
	_, err := tpm2.HierarchyChangeAuth{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		NewAuth:    tpm2.TPM2BAuth{Buffer: []byte("password")},
	}.Execute(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tpm.Open(t.Context(), connect(t, path), tpm.Memory{}); !errors.Is(err, tpm.ErrRefusedAuth) {
		t.Errorf("%v", err)
	}
}

func TestACallerThatGivesUp(t *testing.T) {
	d := newMachine(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.CreateKey(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	s, _ := signer(t, d)
	checkSigns(t, s)
}

func TestPathsThatLeadToNoTPM(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	keys := platform.Tools("").Keys
	for name, device := range map[string]string{
		"relative": "tpmrm0", "a file": file, "a directory": dir, "tcp to elsewhere": "tcp:192.0.2.1:321",
		"tcp by name": "tcp:localhost:321", "tcp where users listen": "tcp:127.0.0.1:2321", "tcp without port": "tcp:127.0.0.1", "not there": filepath.Join(dir, "none"),
	} {
		if conn, err := keys.OpenTPM(device); err == nil || errors.Is(err, port.ErrNoTPM) {
			t.Errorf("%s: %v, %v", name, conn, err)
		}
	}
	if _, err := keys.OpenTPM(filepath.Join(dir, "none")); runtime.GOOS == "linux" && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

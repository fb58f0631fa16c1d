package identity_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/platform"
	"kpm/trust/identity"
	"kpm/trust/tpm/tpmtest"
)

// secrets returns everything in machine.json that is or holds a private key.
func secrets(t *testing.T, c identity.Config) [][]byte {
	t.Helper()
	data, err := os.ReadFile(machineFile(c))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Key []byte
		TPM struct{ Key, Attestation struct{ Private []byte } }
	}
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	var found [][]byte
	for _, secret := range [][]byte{r.Key, r.TPM.Key.Private, r.TPM.Attestation.Private} {
		if len(secret) > 0 {
			found = append(found, secret)
		}
	}
	if len(found) == 0 {
		t.Fatal("no private key in machine.json")
	}
	return found
}

func TestRotateLeavesNothingOfTheOldKey(t *testing.T) {
	for name, c := range map[string]identity.Config{
		"TPM": config(t, identity.StoreTPM, tpmtest.New(t)), "file": inFile(t),
	} {
		t.Run(name, func(t *testing.T) {
			ids := map[string]bool{}
			for range 3 {
				i := open(t, c)
				checkSigns(t, i)
				ids[i.KeyID()] = true
				old := secrets(t, c)
				// As an unfinished write leaves it.
				if err := os.WriteFile(filepath.Join(c.Dir, ".X.tmp"), old[0], 0o600); err != nil {
					t.Fatal(err)
				}
				if err := identity.Rotate(t.Context(), c); err != nil {
					t.Fatal(err)
				}
				err := filepath.WalkDir(c.Dir, func(path string, entry os.DirEntry, err error) error {
					if err != nil || entry.IsDir() {
						return err
					}
					data, err := os.ReadFile(path)
					for _, secret := range old {
						if bytes.Contains(data, secret) || bytes.Contains(data, []byte(base64.StdEncoding.EncodeToString(secret))) {
							t.Errorf("%s still has the old key", path)
						}
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			keys, err := identity.PublicKeys(c.Dir)
			if err != nil || len(ids) != 3 || len(keys) != 4 {
				t.Errorf("%d keys were made, %d public ones are kept, %v", len(ids)+1, len(keys), err)
			}
			for id := range ids {
				if keys[id] == nil {
					t.Errorf("the public key %s is gone", id)
				}
			}
		})
	}
}

var errCrash = errors.New("crash")

// Whatever is the last write that happens, the old key or the new one is there,
// whole, and what the old one signed can be verified.
func TestRotateSurvivesFailureAtEveryWrite(t *testing.T) {
	device := tpmtest.New(t)
	for name, c := range map[string]identity.Config{
		"TPM": config(t, identity.StoreTPM, device), "file": inFile(t), "file to TPM": config(t, identity.StoreAuto, device),
	} {
		t.Run(name, func(t *testing.T) {
			first := c
			if name == "file to TPM" {
				first.Keys = nil
			}
			old := open(t, first).KeyID()
			secret := []byte("sealed before")
			sealed, err := open(t, first).Seal(t.Context(), secret, nil)
			if err != nil {
				t.Fatal(err)
			}
			for n := 0; ; n++ {
				for _, before := range []bool{true, false} {
					writes := 0
					broken := c
					broken.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
						writes++
						if writes <= n {
							return writeAtomic(path, data, perm)
						}
						if !before {
							if err := writeAtomic(path, data, perm); err != nil {
								return err
							}
						}
						return fmt.Errorf("%s: %w", filepath.Base(path), errCrash)
					}
					err := identity.Rotate(t.Context(), broken)
					if err != nil && !errors.Is(err, errCrash) {
						t.Fatal(err)
					}
					i := open(t, c)
					checkSigns(t, i)
					keys, keysErr := identity.PublicKeys(c.Dir)
					if keysErr != nil || keys[old] == nil || keys[i.KeyID()] == nil {
						t.Errorf("write %d, before %v: public keys %v, %v", n, before, keys, keysErr)
					}
					if got, err := i.Unseal(t.Context(), sealed, nil); err != nil || !bytes.Equal(got, secret) {
						t.Errorf("write %d, before %v: sealed secret: %q, %v", n, before, got, err)
					}
					old = i.KeyID()
					if err == nil {
						if n < 2 {
							t.Errorf("rotated with %d writes", n)
						}
						return
					}
				}
			}
		})
	}
}

// The same for the first key: after a crash the next start ends what was begun.
func TestTheFirstKeySurvivesFailureAtEveryWrite(t *testing.T) {
	for n := range 4 {
		c := inFile(t)
		broken := c
		writes := 0
		broken.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
			if writes++; writes > n {
				return errCrash
			}
			return writeAtomic(path, data, perm)
		}
		i, err := identity.Open(t.Context(), broken)
		if (err == nil) != (n == 3) || err != nil && !errors.Is(err, errCrash) {
			t.Errorf("%d writes: %v", n, err)
		}
		if err == nil {
			i.Close()
		}
		checkSigns(t, open(t, c))
	}
}

// A key that was in force, though its public half was not written yet, has
// perhaps signed something.
func TestRotateAfterACrashOfTheFirstStart(t *testing.T) {
	c := inFile(t)
	broken := c
	broken.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
		if strings.HasSuffix(path, ".pem") {
			return errCrash
		}
		return writeAtomic(path, data, perm)
	}
	if _, err := identity.Open(t.Context(), broken); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	if err := identity.Rotate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if keys, err := identity.PublicKeys(c.Dir); err != nil || len(keys) != 2 {
		t.Errorf("%d public keys, %v", len(keys), err)
	}
}

const victim = "KPM_IDENTITY_VICTIM"

// rotateForEver is the process that is killed.
func rotateForEver() {
	dir := os.Getenv(victim)
	if dir == "" {
		return
	}
	c := identity.Config{
		Dir: dir, Keys: platform.Tools("").Keys, Device: os.Getenv(victim + "_TPM"), Store: os.Getenv(victim + "_STORE"),
		Host: "host.example", WriteAtomic: writeAtomic,
		// The port's lock goes with its process, lock's would stay.
		Lock: func(string) (io.Closer, error) { return io.NopCloser(nil), nil },
	}
	for {
		if err := identity.Rotate(context.Background(), c); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println("rotated")
	}
}

func TestRotateSurvivesKill(t *testing.T) {
	for name, c := range map[string]identity.Config{"file": inFile(t), "TPM": config(t, identity.StoreTPM, tpmtest.New(t))} {
		t.Run(name, func(t *testing.T) {
			known := map[string]bool{}
			for round := range 8 {
				known[open(t, c).KeyID()] = true
				cmd := exec.Command(os.Args[0])
				cmd.Env = append(os.Environ(), victim+"="+c.Dir, victim+"_TPM="+c.Device, victim+"_STORE="+c.Store)
				out, err := cmd.StdoutPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				lines := bufio.NewScanner(out)
				for range round%4 + 1 {
					if !lines.Scan() || strings.HasPrefix(lines.Text(), "error") {
						t.Errorf("%s", lines.Text())
					}
				}
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = cmd.Wait()
				i := open(t, c)
				checkSigns(t, i)
				keys, err := identity.PublicKeys(c.Dir)
				for id := range known {
					if keys[id] == nil || err != nil {
						t.Errorf("round %d: the public key %s is gone (%v)", round, id, err)
					}
				}
			}
		})
	}
}

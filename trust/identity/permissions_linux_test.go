package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/platform/linux"
	"kpm/trust/identity"
	"kpm/trust/tpm/tpmtest"
)

// ported uses the ports that the service uses.
func ported(c identity.Config) identity.Config {
	c.WriteAtomic = linux.Files{}.WriteAtomic
	c.Lock = linux.Files{}.Lock
	c.Private = linux.Files{}.Private
	return c
}

func TestNobodyElseReadsIt(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for name, c := range map[string]identity.Config{"file": ported(inFile(t)), "TPM": ported(config(t, identity.StoreTPM, tpmtest.New(t)))} {
		i := open(t, c)
		sealed(t, i, []byte("secret"), nil)
		if err := identity.Rotate(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		err := filepath.WalkDir(c.Dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := entry.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %s is %v", name, path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestAFileThatOthersCanRead(t *testing.T) {
	for name, row := range map[string]struct {
		c    identity.Config
		want error
	}{
		"file": {ported(inFile(t)), identity.ErrExposed},
		"TPM":  {ported(config(t, identity.StoreTPM, tpmtest.New(t))), nil}, // what is read is of no use elsewhere
	} {
		t.Run(name, func(t *testing.T) {
			old := open(t, row.c).KeyID()
			if err := os.Chmod(machineFile(row.c), 0o604); err != nil {
				t.Fatal(err)
			}
			i, err := identity.Open(t.Context(), row.c)
			if !errors.Is(err, row.want) {
				t.Errorf("%v, expected %v", err, row.want)
			}
			if i != nil {
				i.Close()
			}
			if s := inspect(t, row.c); len(s.Problems) == 0 || (s.State == identity.Broken) != (row.want != nil) {
				t.Errorf("%+v", s)
			}
			if err := identity.Rotate(t.Context(), row.c); err != nil {
				t.Fatal(err)
			}
			if s := inspect(t, row.c); len(s.Problems) != 0 || s.KeyID == old || len(s.Retired) != 1 {
				t.Errorf("after it: %+v", s)
			}
		})
	}
}

func TestALinkInsteadOfTheFile(t *testing.T) {
	c := ported(inFile(t))
	open(t, c)
	elsewhere := filepath.Join(t.TempDir(), "machine.json")
	if err := errors.Join(os.Rename(machineFile(c), elsewhere), os.Symlink(elsewhere, machineFile(c))); err != nil {
		t.Fatal(err)
	}
	if _, err := identity.Open(t.Context(), c); !errors.Is(err, core.ErrNotRegular) {
		t.Errorf("%v", err)
	}
	if err := identity.Rotate(t.Context(), c); err != nil {
		t.Error(err)
	}
	checkSigns(t, open(t, c))
	if info, err := os.Lstat(machineFile(c)); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

func TestADirectoryThatWasOpened(t *testing.T) {
	c := ported(inFile(t))
	open(t, c)
	if err := os.Chmod(c.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := identity.Rotate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(c.Dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// The TPM is believed on the first day: it has to be the administrator's choice
// what answers there.
func TestATPMThatOthersCouldReplace(t *testing.T) {
	device := tpmtest.New(t)
	dir := filepath.Dir(device)
	t.Cleanup(func() { os.Chmod(dir, 0o700) })
	for _, step := range []struct {
		name   string
		change func() error
	}{
		{"directory of others", func() error { return os.Chown(dir, 65534, 0) }},
		{"directory for others", func() error { return errors.Join(os.Chown(dir, 0, 0), os.Chmod(dir, 0o777)) }},
		{"sticky directory", func() error { return os.Chmod(dir, 0o777|os.ModeSticky) }},
		{"socket of others", func() error { return errors.Join(os.Chmod(dir, 0o755), os.Chown(device, 65534, 0)) }},
	} {
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if _, err := (linux.KeyStore{}).OpenTPM(device); !errors.Is(err, core.ErrNotProtected) {
			t.Errorf("%s: %v", step.name, err)
		}
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := errors.Join(os.Chown(device, 0, 0), os.Symlink(device, link)); err != nil {
		t.Fatal(err)
	}
	if _, err := (linux.KeyStore{}).OpenTPM(link); err == nil {
		t.Error("a link is followed")
	}
	conn, err := linux.KeyStore{}.OpenTPM(device)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

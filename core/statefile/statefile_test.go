package statefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core/statefile"
)

func TestFile(t *testing.T) {
	full := errors.New("the disk is full")
	var broken error
	f := statefile.File{Path: filepath.Join(t.TempDir(), "state.json"), Read: os.ReadFile, WriteAtomic: func(path string, data []byte, perm fs.FileMode) error {
		if broken != nil {
			return broken
		}
		return os.WriteFile(path, data, perm)
	}}
	type state struct {
		Names []string `json:"names"`
	}
	kept := state{Names: []string{"as it was"}}
	if err := f.Load(&kept, "x"); err != nil || len(kept.Names) != 1 {
		t.Errorf("without a file: %+v, %v", kept, err)
	}
	if err := f.Save(state{Names: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(f.Path); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := f.Load(&kept, "x"); err != nil || strings.Join(kept.Names, " ") != "a b" {
		t.Errorf("%+v, %v", kept, err)
	}
	broken = full
	if err := f.Save(kept); !errors.Is(err, full) || !strings.Contains(err.Error(), f.Path) {
		t.Errorf("a full disk: %v", err)
	}
	if err := os.WriteFile(f.Path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(&kept, "remove it"); err == nil || !strings.HasSuffix(err.Error(), "; remove it") || !strings.Contains(err.Error(), f.Path) {
		t.Errorf("no JSON: %v", err)
	}
	if err := f.Load(new(int), "x"); err == nil {
		t.Error("another form is taken")
	}
	f.Read = func(string) ([]byte, error) { return nil, fs.ErrPermission }
	if err := f.Load(&kept, "x"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a file that may not be read: %v", err)
	}
}

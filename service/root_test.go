package service

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolveRoot(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, name := range []string{dir, link, "link", "."} {
		if root, err := ResolveRoot(name); err != nil || root != dir {
			t.Errorf("%s: %s, %v", name, root, err)
		}
	}
	if _, err := ResolveRoot("missing"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--root") {
		t.Errorf("missing: %v", err)
	}
}

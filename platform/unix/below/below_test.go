package below

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	root := t.TempDir()
	for _, name := range []string{"b/2", "b/1", "a", "c/d/e"} {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root, filepath.Join(root, "b", "loop")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, strings.Repeat("deep/", maxDepth)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, strings.Repeat("deep/", maxDepth), "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	closed := errors.New("may not be opened")
	read := func(folder string) ([]fs.DirEntry, error) {
		if filepath.Base(folder) == "d" {
			return nil, closed
		}
		return os.ReadDir(folder)
	}
	under := func(names ...string) (paths []string) {
		for _, name := range names {
			paths = append(paths, filepath.Join(root, name))
		}
		return paths
	}
	if got, err := Files(root+"/", 10, read); !slices.Equal(got, under("a", "b/1", "b/2")) || !errors.Is(err, closed) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := Files(root, 2, read); !slices.Equal(got, under("a", "b/1")) || err == nil || !strings.Contains(err.Error(), "more than 2 files") {
		t.Errorf("too many: %q, %v", got, err)
	}
	if got, err := Files(root+"/none", 2, read); got != nil || err != nil {
		t.Errorf("a folder that is not there: %q, %v", got, err)
	}
}

package owner

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// own is a folder beside the tests, which whoever runs them has made for an
// administrator.
func own(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(program), "owner-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// A folder is made with all above it, once, and what lies in it stays.
func TestFolder(t *testing.T) {
	dir := filepath.Join(own(t), "Log", "Today")
	for range 2 {
		if got, err := Folder(dir + `\.`); err != nil || got != dir {
			t.Fatalf("%q, %v", got, err)
		}
		if err := os.WriteFile(filepath.Join(dir, "x.log"), []byte("line"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// Attack: a log on a share, a device, or in a stream of another file.
func TestFoldersThatAreNone(t *testing.T) {
	file := filepath.Join(own(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, `\\.\pipe`, `C:\windows\system32\cmd.exe:log`, filepath.Join(file, "Log")} {
		if got, err := Folder(dir); err == nil {
			t.Errorf("%s is the folder %s", dir, got)
		}
	}
	if _, err := Folder(file); !errors.Is(err, ErrFolder) {
		t.Errorf("a file: %v", err)
	}
}

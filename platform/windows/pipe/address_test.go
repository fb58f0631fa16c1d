package pipe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddressesAreRead(t *testing.T) {
	name := newName()
	if again := newName(); again == name {
		t.Errorf("%s twice", name)
	}
	path := filepath.Join(t.TempDir(), "door.sock")
	if err := os.WriteFile(path, []byte(name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readAddress(path); err != nil || got != name {
		t.Errorf("%q, %v; expected %q", got, err, name)
	}
	if _, err := readAddress(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Attack: a file of a user's names some other pipe.
func TestOtherAddressesAreRefused(t *testing.T) {
	name := newName()
	for _, content := range []string{
		"", "\n", name, name + "\r\n", name + "\n\n", " " + name + "\n", name[1:] + "\n", name + "0\n", name[:len(name)-1] + "\n",
		strings.ToUpper(name) + "\n", prefix + strings.Repeat("G", 32) + "\n", prefix + strings.Repeat("A", 32) + "\n",
		`\\server\pipe\kpm-` + strings.Repeat("0", 32) + "\n", `\\.\pipe\lsass` + "\n", `\\.\pipe\kpm-..\lsass` + "\n",
		strings.Repeat("a", 1<<12),
	} {
		if got, err := parse(content); !errors.Is(err, ErrAddress) {
			t.Errorf("%q was read as %q, %v", content, got, err)
		}
		path := filepath.Join(t.TempDir(), "door.sock")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readAddress(path); !errors.Is(err, ErrAddress) {
			t.Errorf("the file %q was read as %q, %v", content, got, err)
		}
	}
}

func FuzzAddress(f *testing.F) {
	f.Add(newName() + "\n")
	f.Add(`\\.\pipe\x` + "\n")
	f.Fuzz(func(t *testing.T, content string) {
		name, err := parse(content)
		if err == nil && (name+"\n" != content || !strings.HasPrefix(name, prefix) || len(name) != len(prefix)+2*random) {
			t.Errorf("%q became %q", content, name)
		}
	})
}

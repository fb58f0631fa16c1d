//go:build unix

package owner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Attack: a folder that a user can write to, or one above it, in which a link
// takes the log's place.
func TestAFolderThatOthersCanWriteToIsRefused(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "log")
	for range 2 { // made, and then there
		if got, err := Folder(dir); err != nil || got != dir {
			t.Fatalf("%q, %v", got, err)
		}
	}
	for _, theirs := range []string{dir, above} {
		before, err := os.Stat(theirs)
		must(t, err)
		must(t, os.Chmod(theirs, 0o777))
		if _, err := Folder(dir); !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), theirs) {
			t.Errorf("%s is everybody's: %v", theirs, err)
		}
		must(t, os.Chmod(theirs, before.Mode().Perm()))
		// Somebody who owns it can write to it.
		must(t, os.Chown(theirs, 4242, -1))
		if _, err := Folder(dir); !errors.Is(err, ErrFolder) || !strings.Contains(err.Error(), theirs+": owner 4242") {
			t.Errorf("%s is somebody else's: %v", theirs, err)
		}
		must(t, os.Chown(theirs, 0, -1))
	}
	// The group of a system's log daemon may write to a folder above.
	must(t, os.Chmod(above, 0o775))
	if _, err := Folder(dir); err != nil {
		t.Errorf("a group may write to the one above: %v", err)
	}
	// A link is followed once; where it leads later on does not matter.
	must(t, os.Symlink(dir, dir+"-link"))
	if got, err := Folder(dir + "-link"); err != nil || got != dir {
		t.Errorf("by a link: %q, %v", got, err)
	}
	must(t, os.WriteFile(filepath.Join(above, "file"), nil, 0o600))
	if got, err := Folder(filepath.Join(above, "file")); err == nil {
		t.Errorf("a file: %q", got)
	}
}

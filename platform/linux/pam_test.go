//go:build linux

package linux

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/platform/unix/pam"
	"kpm/platform/unix/pam/askpam"
)

// Attack: PAM's file cannot be read at this moment, and a program runs without the
// limits that PAM sets. Where there is no file PAM is not asked.
func TestFilesOfPAMThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	must(t, errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.Symlink("loop", filepath.Join(dir, "loop"))))
	for name, stops := range map[string]bool{"folder": true, "loop": true, "absent": false} {
		p := &PAM{askpam.New(func() (askpam.Child, error) { return nil, errors.New("it was asked") }, []string{filepath.Join(dir, name)}, pam.Check)}
		session, err := p.open(t.Context(), core.Identity{}, nil)
		if session != nil || (err != nil) != stops {
			t.Errorf("%s: %v, %v, expected an error: %t", name, session, err, stops)
		}
	}
}

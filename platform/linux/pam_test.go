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
	must(t, errors.Join(os.Mkdir(filepath.Join(dir, "folder"), 0o700), os.Symlink("loop", filepath.Join(dir, "loop")),
		os.WriteFile(filepath.Join(dir, "rootok"), []byte("auth sufficient pam_rootok.so\n"), 0o600)))
	for name, stops := range map[string]bool{"folder": true, "loop": true, "rootok": true, "absent": false} {
		asked := false
		p := &PAM{askpam.New(func() (askpam.Child, error) { asked = true; return nil, errors.New("it was asked") }, []string{filepath.Join(dir, name)}, pam.Check)}
		session, err := p.open(t.Context(), core.Identity{}, nil)
		if session != nil || (err != nil) != stops || asked != (name == "rootok") {
			t.Errorf("%s: %v, %v, asked %t, expected an error: %t", name, session, err, asked, stops)
		}
	}
}

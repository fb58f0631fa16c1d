package file

import (
	"errors"
	"strings"
	"testing"

	"kpm/core"
)

// What the system says of an open file, and whether it can be started.
func TestWhereProgramsLie(t *testing.T) {
	deep := `C:\` + strings.Repeat(`directory\`, 30) + "x.exe"
	for _, c := range []struct {
		path, want string
		err        error
	}{
		{`\\?\C:\Program Files\x.exe`, `C:\Program Files\x.exe`, nil},
		{`\\?\` + deep, `\\?\` + deep, nil},
		{`\\?\UNC\server\share\x.exe`, "", core.ErrNotProtected},
		{`\\?\Volume{00000000-0000-0000-0000-000000000000}\x.exe`, "", core.ErrNotProtected},
		{`\\.\pipe\x`, "", core.ErrNotProtected},
		{`\\?\C:\x.txt:hidden.exe`, "", core.ErrNotRegular},
		{`\\?\C:\x.exe:$DATA`, "", core.ErrNotRegular},
	} {
		if got, err := onDrive(c.path); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.path, got, err)
		}
	}
}

//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/platform/linux/file"
)

func TestLocateProtected(t *testing.T) {
	root := t.TempDir() // below /tmp, which is sticky
	files := Files{file.Files{AgentRoot: root}}
	mine, theirs := filepath.Join(root, "mine"), filepath.Join(root, "theirs")
	for _, err := range []error{
		os.Chmod(root, 0o755), os.Mkdir(mine, 0o755), os.Mkdir(theirs, 0o755),
		os.WriteFile(filepath.Join(mine, "tool"), nil, 0o755),
		os.WriteFile(filepath.Join(theirs, "tool"), nil, 0o755),
		os.Symlink("tool", filepath.Join(mine, "link")),
		os.Symlink(filepath.Join(mine, "tool"), filepath.Join(theirs, "link")),
		os.Symlink("../theirs/link", filepath.Join(mine, "detour")),
		os.Symlink("/bin/sh", filepath.Join(mine, "shell")),
		os.Symlink("tool", filepath.Join(mine, "lent")),
		os.Lchown(filepath.Join(mine, "lent"), 65534, 65534),
		os.Chown(theirs, 65534, 65534),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		mine + "/tool":          mine + "/tool",
		mine:                    mine,
		mine + "/link":          mine + "/tool",
		mine + "/../mine//tool": mine + "/tool",
	} {
		f, err := files.LocateProtected(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if f.Name() != want {
			t.Errorf("%s is %s, expected %s", path, f.Name(), want)
		}
		f.Close()
	}
	for _, path := range []string{"/bin/sh", mine + "/shell"} {
		f, err := files.LocateProtected(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		f.Close()
	}
	for path, want := range map[string]error{
		theirs + "/tool": core.ErrNotProtected, // root's, but in somebody's directory
		theirs + "/link": core.ErrNotProtected, // leads to a protected file, today
		mine + "/detour": core.ErrNotProtected, // the same, one link further
		mine + "/lent":   core.ErrNotProtected, // in a sticky directory its owner could change it
		mine + "/none":   fs.ErrNotExist,
		"/dev/null":      core.ErrNotProtected,
		"tool":           fs.ErrInvalid,
		"/tmp":           core.ErrNotProtected,
	} {
		f, err := files.LocateProtected(path)
		if !errors.Is(err, want) {
			t.Errorf("%s: %v, expected %v", path, err, want)
		}
		if f != nil {
			f.Close()
		}
	}
}

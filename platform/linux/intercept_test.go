//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/platform/unix/redirect"
)

func TestInterceptionOfSudo(t *testing.T) {
	i := Interception{AgentRoot: t.TempDir(), dir: t.TempDir()}
	program, link := filepath.Join(i.AgentRoot, "keepersudo"), filepath.Join(i.dir, "sudo")
	enable, disable := i.Enable, i.Disable
	if err := enable(t.Context(), "sudo"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without keepersudo: %v", err)
	}
	must(t, disable(t.Context(), "sudo"))
	must(t, os.WriteFile(program, nil, 0o755))
	for range 2 {
		must(t, enable(t.Context(), "sudo"))
		if to, err := os.Readlink(link); err != nil || to != program {
			t.Errorf("%s leads to %s, %v", link, to, err)
		}
	}
	// The agent may be gone by then.
	must(t, os.Remove(program))
	for range 2 {
		must(t, disable(t.Context(), "sudo"))
		if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the link is left: %v", err)
		}
	}
	for _, way := range []string{"", "uac", "Sudo"} {
		if err := errors.Join(enable(t.Context(), way), disable(t.Context(), way)); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%q: %v", way, err)
		}
	}
}

func TestInterceptionLeavesWhatIsNotOurs(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a program":      func(path string) error { return os.WriteFile(path, []byte("theirs"), 0o755) },
		"a link":         func(path string) error { return os.Symlink("/usr/bin/sudo", path) },
		"a directory":    func(path string) error { return os.Mkdir(path, 0o755) },
		"a dangling one": func(path string) error { return os.Symlink("keepersudo", path) },
	} {
		i := Interception{AgentRoot: t.TempDir(), dir: t.TempDir()}
		must(t, os.WriteFile(filepath.Join(i.AgentRoot, "keepersudo"), nil, 0o755))
		link := filepath.Join(i.dir, "sudo")
		must(t, put(link))
		before, err := os.Lstat(link)
		must(t, err)
		if err := i.Enable(t.Context(), "sudo"); !errors.Is(err, redirect.ErrNotOurs) {
			t.Errorf("%s: enable: %v", name, err)
		}
		if err := i.Disable(t.Context(), "sudo"); !errors.Is(err, redirect.ErrNotOurs) {
			t.Errorf("%s: disable: %v", name, err)
		}
		if after, err := os.Lstat(link); err != nil || !os.SameFile(before, after) {
			t.Errorf("%s: it was touched: %v", name, err)
		}
	}
}

// Attack: people are sent to a program that somebody else can change.
func TestInterceptionLeadsToRootsProgramAlone(t *testing.T) {
	i := Interception{AgentRoot: t.TempDir(), dir: t.TempDir()}
	program := filepath.Join(i.AgentRoot, "keepersudo")
	for name, change := range map[string]func() error{
		"writable": func() error { return errors.Join(os.WriteFile(program, nil, 0o755), os.Chmod(program, 0o775)) },
		"another's": func() error {
			return errors.Join(os.Remove(program), os.WriteFile(program, nil, 0o755), os.Chown(program, 1000, 0))
		},
		"a link":         func() error { return errors.Join(os.Remove(program), os.Symlink("/bin/true", program)) },
		"not executable": func() error { return errors.Join(os.Remove(program), os.WriteFile(program, nil, 0o644)) },
	} {
		_ = os.Remove(program)
		must(t, os.WriteFile(program, nil, 0o755))
		must(t, change())
		err := i.Enable(t.Context(), "sudo")
		if !errors.Is(err, core.ErrNotProtected) && !errors.Is(err, core.ErrNotRegular) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Lstat(filepath.Join(i.dir, "sudo")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a link was made: %v", name, err)
		}
	}
}

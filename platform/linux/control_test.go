//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
)

// unitRoot is an agent root with its unit, in a folder that is root's all the way.
func unitRoot(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("/root", "unit-")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	root := filepath.Join(dir, name)
	must(t, os.Mkdir(root, 0o755))
	text, err := os.ReadFile("../../packaging/linux/" + unitName)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(root, unitName), text, 0o644))
	return root
}

// The unit for an agent elsewhere starts that one.
func TestTheUnitOfARoot(t *testing.T) {
	root := unitRoot(t, "agent")
	unit := filepath.Join(filepath.Dir(root), "written.service")
	must(t, writeUnit(root, unit))
	text, err := os.ReadFile(unit)
	must(t, err)
	if !strings.Contains(string(text), "\nExecStart="+root+"/KeeperPrivilegeManager run --root "+root+"\n") || strings.Contains(string(text), packagedRoot) {
		t.Errorf("%s", text)
	}
}

// Attack: an agent is installed in a folder whose name goes on like a unit.
func TestRootsThatNoUnitCanHave(t *testing.T) {
	for _, name := range []string{"a b", "a%i", "a\nExecStartPre=x", `a"b`, "a'b", `a\b`, "a$b", "a;b"} {
		root := unitRoot(t, name)
		unit := filepath.Join(filepath.Dir(root), "written.service")
		if err := writeUnit(root, unit); core.KindOf(err) != core.Invalid {
			t.Errorf("%q: %v", name, err)
		}
		if _, err := os.Stat(unit); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: a unit is written", name)
		}
	}
	root := unitRoot(t, "agent")
	must(t, os.Remove(filepath.Join(root, unitName)))
	if err := writeUnit(root, filepath.Join(root, "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the unit's file: %v", err)
	}
	root = unitRoot(t, "others")
	must(t, os.Chmod(filepath.Join(root, unitName), 0o666))
	if err := writeUnit(root, filepath.Join(root, "x")); err == nil {
		t.Error("somebody else's file becomes a unit")
	}
}

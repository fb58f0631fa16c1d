package keeperpolicy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
)

// A fault anywhere leaves the last good set in force; before there is one,
// everything is denied. The log names file and fault.
func TestFaultyFilesLeaveTheLastGoodSet(t *testing.T) {
	good := policyJSON("a", "ALLOW", "/usr/bin/id")
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, root string)
		says  string
	}{
		{"no JSON", func(t *testing.T, root string) { write(t, root, "b.json", "{") }, "Policies/b.json:1: found no valid JSON"},
		{"unknown type", func(t *testing.T, root string) {
			write(t, root, "b.json", strings.Replace(good, "PrivilegeElevation", "Elevation", 1))
		}, `Policies/b.json:1: policy \"a\", $.PolicyType: found \"Elevation\"`},
		{"world-writable", func(t *testing.T, root string) {
			write(t, root, "b.json", good)
			chmod(t, filepath.Join(root, "Policies", "b.json"), 0o666)
		}, "Policies/b.json: found mode 0666, expected nobody but its owner able to write; chmod go-w Policies/b.json"},
		{"group-writable", func(t *testing.T, root string) { chmod(t, filepath.Join(root, "Policies", "a.json"), 0o664) }, "mode 0664"},
		{"world-writable folder", func(t *testing.T, root string) { chmod(t, filepath.Join(root, "Policies"), 0o777) }, "Policies: found mode 0777"},
		{"another owner", func(t *testing.T, root string) {
			write(t, root, "b.json", good)
			if err := os.Chown(filepath.Join(root, "Policies", "b.json"), 4242, 0); err != nil {
				t.Fatal(err)
			}
		}, "Policies/b.json: found owner 4242, expected an administrator as its owner; chown root Policies/b.json"},
		{"a link", func(t *testing.T, root string) {
			link(t, filepath.Join(root, "Policies", "a.json"), filepath.Join(root, "Policies", "b.json"))
		}, "Policies/b.json: found a link, expected a regular file"},
		{"a linked folder", func(t *testing.T, root string) {
			link(t, t.TempDir(), filepath.Join(root, "Policies", "synced"))
		}, "Policies/synced: found a link, expected a folder"},
		// Attack: a FIFO that makes the reader wait for ever.
		{"a FIFO", func(t *testing.T, root string) {
			if err := syscall.Mkfifo(filepath.Join(root, "Policies", "b.json"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "Policies/b.json: found a special file"},
		{"a file for a folder", func(t *testing.T, root string) { write(t, root, "synced", "") }, "Policies/synced: found a regular file"},
		{"a collection twice", func(t *testing.T, root string) {
			write(t, root, "collections.json", `{"x": {"Type": "user", "Values": []}}`)
			write(t, root, "synced/collections.json", `{"x": {"Type": "user", "Values": []}}`)
		}, `collection \"x\" again`},
		{"faulty collections", func(t *testing.T, root string) { write(t, root, "collections.json", "[]") }, "Policies/collections.json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := agentRoot(t, map[string]string{"a.json": good})
			cfg := Config{Root: root, Owned: rootOwned}
			before, _ := logged(cfg)
			before.load(false)
			tc.spoil(t, root)
			if before.load(false) {
				t.Error("the spoilt set was taken")
			}
			if _, got := before.answer(ask(t, "/usr/bin/id")); got.Decision != core.Allow {
				t.Errorf("the last good set is gone: %+v", got)
			}
			fresh, log := logged(cfg)
			fresh.load(false)
			if _, got := fresh.answer(ask(t, "/usr/bin/id")); got.Decision != core.Deny || got.Message != unreadable {
				t.Errorf("without a good set: %+v", got)
			}
			if !strings.Contains(log.String(), tc.says) {
				t.Errorf("the log does not say %q:\n%s", tc.says, log)
			}
		})
	}
}

func rootOwned(info fs.FileInfo) error {
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		return errors.New("owner 4242")
	}
	return nil
}

func chmod(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, at string) {
	t.Helper()
	if err := os.Symlink(to, at); err != nil {
		t.Fatal(err)
	}
}

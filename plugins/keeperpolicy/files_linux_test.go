package keeperpolicy

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/core/policy"
)

// Of a file that cannot be used the last good version stays in force; before
// there is one, everything is denied. The log names file and fault.
func TestFaultyFilesLeaveTheLastGoodOnes(t *testing.T) {
	good := policyJSON("a", "ALLOW", "/usr/bin/id")
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, root string)
		says  string
	}{
		{"no JSON", func(t *testing.T, root string) { write(t, root, "b.json", "{") }, "Policies/b.json:1: found no valid JSON"},
		{"world-writable", func(t *testing.T, root string) {
			write(t, root, "b.json", good)
			chmod(t, filepath.Join(root, "Policies", "b.json"), 0o666)
		}, "Policies/b.json has mode 0666: everyone can write to it; run chmod o-w on it"},
		{"group-writable", func(t *testing.T, root string) {
			if err := os.Chown(filepath.Join(root, "Policies", "a.json"), 0, 4242); err != nil {
				t.Fatal(err)
			}
			chmod(t, filepath.Join(root, "Policies", "a.json"), 0o664)
		}, "has mode 0664: group 4242 can write to it; run chmod g-w on it"},
		{"world-writable folder", func(t *testing.T, root string) { chmod(t, filepath.Join(root, "Policies"), 0o777) }, "Policies has mode 0777: everyone can write to it; run chmod o-w on it"},
		{"another owner", func(t *testing.T, root string) {
			write(t, root, "b.json", good)
			if err := os.Chown(filepath.Join(root, "Policies", "b.json"), 4242, 0); err != nil {
				t.Fatal(err)
			}
		}, "Policies/b.json belongs to uid 4242, expected root; run chown root on it"},
		// Attack: whoever can replace the root replaces every policy in it.
		{"an agent root that others can change", func(t *testing.T, root string) { chmod(t, root, 0o777) }, "has mode 0777: everyone can write to it"},
		{"too large", func(t *testing.T, root string) {
			write(t, root, "b.json", "")
			if err := os.Truncate(filepath.Join(root, "Policies", "b.json"), policy.MaxFile+1); err != nil {
				t.Fatal(err)
			}
		}, "Policies/b.json: found more than that, expected at most 16777216 bytes; split the file"},
		{"a link", func(t *testing.T, root string) {
			link(t, filepath.Join(root, "Policies", "a.json"), filepath.Join(root, "Policies", "b.json"))
		}, "Policies/b.json is a link: not a regular file, expected a file that administrators alone can change; links are not followed"},
		{"a linked folder", func(t *testing.T, root string) {
			link(t, t.TempDir(), filepath.Join(root, "Policies", "synced"))
		}, "Policies/synced is a link: not a directory, expected a folder that administrators alone can change; links are not followed"},
		// Attack: a FIFO that makes the reader wait for ever.
		{"a FIFO", func(t *testing.T, root string) {
			if err := syscall.Mkfifo(filepath.Join(root, "Policies", "b.json"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "Policies/b.json is a special file: not a regular file"},
		{"a file for a folder", func(t *testing.T, root string) { write(t, root, "synced", "") }, "Policies/synced is a file: not a directory"},
		{"faulty collections", func(t *testing.T, root string) { write(t, root, "collections.json", "[]") }, "Policies/collections.json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			root := agentRoot(t, map[string]string{"a.json": good})
			cfg := Config{Root: root, Open: opens(root)}
			before, _ := logged(cfg)
			before.load(false)
			tc.spoil(t, root)
			if before.load(false) {
				t.Error("nothing was wrong")
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

// While a set is read again, the text of a file that has not changed is there once.
func TestUnchangedTextIsHeldOnce(t *testing.T) {
	root := agentRoot(t, map[string]string{"a.json": policyJSON("a", "ALLOW", "/usr/bin/id"), "b.json": policyJSON("b", "ALLOW", "/usr/bin/id"),
		"long.json": "[" + strings.Repeat(policyJSON("c", "ALLOW", "/usr/bin/id")+",", 50) + policyJSON("c", "ALLOW", "/usr/bin/id") + "]"})
	e, _ := logged(Config{Root: root, Open: opens(root)})
	e.load(false)
	before := e.force.Load().files
	write(t, root, "b.json", policyJSON("b", "DENY", "/usr/bin/id"))
	e.load(false)
	after := e.force.Load().files
	if len(after) != 3 {
		t.Fatalf("%d files", len(after))
	}
	for path, text := range after {
		if same, want := &text.data[0] == &before[path].data[0], filepath.Base(path) != "b.json"; same != want {
			t.Errorf("%s: the text is that of the earlier set: %t, want %t", path, same, want)
		}
	}
}

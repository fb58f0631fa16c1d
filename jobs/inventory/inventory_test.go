package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The users of the machine that this test runs on: root is always one.
func TestUsers(t *testing.T) {
	out := filepath.Join(t.TempDir(), "inventory", "users.json")
	var stdout, stderr bytes.Buffer
	if code := Main(t.Context(), []string{"users", "--out=" + out}, &stdout, &stderr); code != ExitOK || stderr.Len() > 0 {
		t.Fatal(code, stderr.String())
	}
	var said summary
	var d document
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &d); err != nil {
		t.Fatal(err)
	}
	root := slices.ContainsFunc(d.Users.Accounts, func(a account) bool { return a.Name == "root" && a.ID == "0" && a.Group == "0" })
	if !root || said.InventoryCount != len(d.Users.Accounts) || said.InventoryFile != out || len(d.Users.Groups) == 0 {
		t.Errorf("%+v, said %+v", d.Users, said)
	}
	name, err := os.Hostname()
	if err != nil || d.Machine.Name != name || d.Machine.OS != runtime.GOOS || d.Machine.Kernel == "" || d.Taken.IsZero() {
		t.Errorf("%v, %+v", err, d.Machine)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", err, info.Mode())
	}
}

// What is found of a folder: programs, by where they lie; no link, no pipe, nothing below
// a file server.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a": 0o755, "sub/b": 0o700, "text": 0o644, "server/c": 0o755} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("abc"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("a", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(t.TempDir(), "again")); err != nil {
		t.Fatal(err)
	}
	w := walk{system: core.Linux, most: 10, skip: map[string]bool{filepath.Join(dir, "server"): true}}
	if err := w.all(t.Context(), []string{dir, dir, "", filepath.Join(dir, "nowhere")}); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range w.found {
		names = append(names, strings.TrimPrefix(p.Path, dir))
		if p.Size != 3 || p.SHA256 != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" || p.Modified.IsZero() {
			t.Errorf("%+v", p)
		}
	}
	if got := strings.Join(names, " "); got != "/a /sub/b" || w.cut || w.unread != nil {
		t.Errorf("found %q, cut %v, unread %q", got, w.cut, w.unread)
	}
	few := walk{system: core.Linux, most: 1}
	if err := few.all(t.Context(), []string{dir}); err != nil || !few.cut || len(few.found) != 1 {
		t.Errorf("%v, %+v", err, few)
	}
}

// What a program is, and where programs are, on each system.
func TestProgramsOfEachSystem(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"a.exe": 0o644, "b.PS1": 0o644, "c": 0o755} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("abc"), mode); err != nil {
			t.Fatal(err)
		}
	}
	for system, want := range map[core.Platform]string{core.Windows: "a.exe b.PS1", core.MacOS: "c", core.Linux: "c"} {
		w := walk{system: system, most: 10}
		if err := w.all(t.Context(), []string{dir}); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, p := range w.found {
			names = append(names, filepath.Base(p.Path))
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %q, expected %q", system, got, want)
		}
		folders := roots(system, func(name string) string { return "/" + name })
		switch {
		case system == core.Windows && !slices.Contains(folders, "/ProgramFiles(x86)"),
			system == core.MacOS && !slices.Contains(folders, "/Applications"),
			system == core.Linux && !slices.Contains(folders, "/usr/games"):
			t.Errorf("%s: %q", system, folders)
		}
	}
}

// A file that was replaced after it was seen is another file.
func TestAReplacedFileHasNoHash(t *testing.T) {
	path, other := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	for _, name := range []string{path, other} {
		if err := os.WriteFile(name, []byte("abc"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if sum, err := digest(path, seen); err == nil || sum != "" {
		t.Errorf("%q, %v", sum, err)
	}
}

func TestWhatCannotBeTaken(t *testing.T) {
	out := filepath.Join(t.TempDir(), "x.json")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tc := range map[string]struct {
		ctx  context.Context
		args []string
		code int
		says string
	}{
		"nothing asked for":       {t.Context(), nil, ExitUsage, usage},
		"another kind":            {t.Context(), []string{"cars", "--out=" + out}, ExitUsage, usage},
		"no file":                 {t.Context(), []string{"users"}, ExitUsage, `--out is "", expected an absolute path`},
		"an unknown flag":         {t.Context(), []string{"users", "--outt=x"}, ExitUsage, usage},
		"a file that is a folder": {t.Context(), []string{"users", "--out=" + filepath.Dir(out)}, ExitFault, "file exists"},
		"ended early":             {gone, []string{"files", "--out=" + out}, ExitFault, "context canceled"},
	} {
		var stdout, stderr bytes.Buffer
		if code := Main(tc.ctx, tc.args, &stdout, &stderr); code != tc.code || stdout.Len() > 0 || !strings.Contains(stderr.String(), tc.says) {
			t.Errorf("%s: %d %q %q", name, code, stdout.String(), stderr.String())
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

package store

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// grove is an agent root with files and a Last Known Good of them.
type grove struct {
	*LastGood
	root    string
	restore bool
	found   []string
	unknown error // why it is not known which files there are
}

func newGrove(t *testing.T) *grove {
	t.Helper()
	kept, err := Open(path(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	g := &grove{root: t.TempDir()}
	g.write(t, "Plugins/A.json", "a")
	g.write(t, "Policies/p.json", "p")
	g.write(t, "Plugins/bin/A/A", "program")
	g.LastGood, err = NewLastGood(GoodConfig{
		Store: kept, Root: g.root,
		Files: func() (files, programs []string, err error) {
			for _, dir := range []string{"Plugins", "Policies"} {
				found, _ := filepath.Glob(filepath.Join(g.root, dir, "*.json"))
				files = append(files, found...)
			}
			return files, []string{filepath.Join(g.root, "Plugins/bin/A/A")}, g.unknown
		},
		Read:    func(path string, _ int64) ([]byte, error) { return os.ReadFile(path) },
		Write:   os.WriteFile,
		Restore: func() bool { return g.restore }, Aside: filepath.Join(g.root, "State", "aside"),
		Found: func(u view.Unapproved) { g.found = append(g.found, u.Path+" "+u.Change+" "+u.Outcome) },
		Log:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// While it is not known which files there are, nothing is accepted, and nothing that is
// there is a change.
func TestFilesThatAreNotKnown(t *testing.T) {
	g := newGrove(t)
	g.unknown = errors.New("the jobs cannot be read")
	g.write(t, "Plugins/B.json", "b")
	if _, err := g.Changes(); !errors.Is(err, g.unknown) {
		t.Errorf("changes: %v", err)
	}
	if names, err := g.Approve(core.ServicePrincipal(), func(string) bool { return true }); !errors.Is(err, g.unknown) {
		t.Errorf("approved: %q, %v", names, err)
	}
	kept, err := Open(path(t))
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close()
	first := g.cfg
	first.Store = kept
	if _, err := NewLastGood(first); !errors.Is(err, g.unknown) {
		t.Errorf("the first start: %v", err)
	}
	g.unknown = nil
	if again, err := NewLastGood(first); err != nil {
		t.Error(err)
	} else if changes, err := again.Changes(); err != nil || len(changes) > 0 {
		t.Errorf("after that: %v, %v", changes, err)
	}
}

func (g *grove) write(t *testing.T, name, text string) {
	t.Helper()
	at := filepath.Join(g.root, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

func (g *grove) remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(g.root, name)); err != nil {
		t.Fatal(err)
	}
}

func (g *grove) read(name string) string {
	data, err := os.ReadFile(filepath.Join(g.root, name))
	if err != nil {
		return "none"
	}
	return string(data)
}

func (g *grove) spoil(t *testing.T) {
	t.Helper()
	g.write(t, "Plugins/A.json", "changed")
	g.write(t, "Plugins/New.json", "new")
	g.remove(t, "Policies/p.json")
	g.write(t, "Plugins/bin/A/A", "another program")
}

func (g *grove) guard(t *testing.T, want bool, found ...string) {
	t.Helper()
	g.found = nil
	restored, err := g.Guard()
	if err != nil || restored != want || !slices.Equal(g.found, found) {
		t.Errorf("%v, %v, found %q\nwant %v, %q", restored, err, g.found, want, found)
	}
}

func TestUnapprovedChangesAreSaidOnce(t *testing.T) {
	g := newGrove(t)
	g.guard(t, false)
	g.spoil(t)
	g.guard(t, false, "Plugins/A.json changed ", "Plugins/New.json added ", "Plugins/bin/A/A changed ", "Policies/p.json removed ")
	g.guard(t, false) // once
	if g.read("Plugins/A.json") != "changed" {
		t.Error("a change was undone that was to be reported")
	}
	names, err := g.Approve(admin, func(name string) bool {
		return strings.HasPrefix(name, "Plugins/A") || strings.HasPrefix(name, "Plugins/bin/A/")
	})
	if err != nil || !slices.Equal(names, []string{"Plugins/A.json", "Plugins/bin/A/A"}) {
		t.Errorf("%q, %v", names, err)
	}
	changes, err := g.Changes()
	if err != nil || len(changes) != 2 || changes[1].Change != "removed" {
		t.Errorf("%+v, %v", changes, err)
	}
	if names, err := g.Approve(admin, func(string) bool { return true }); err != nil || len(names) != 2 {
		t.Errorf("%q, %v", names, err)
	}
	if changes, err := g.Changes(); err != nil || len(changes) != 0 {
		t.Errorf("%+v, %v", changes, err)
	}
}

func TestUnapprovedChangesAreUndone(t *testing.T) {
	g := newGrove(t)
	g.restore = true
	g.spoil(t)
	g.guard(t, true, "Plugins/A.json changed undone", "Plugins/New.json added undone",
		"Plugins/bin/A/A changed not started until it is approved", "Policies/p.json removed undone")
	for name, want := range map[string]string{"Plugins/A.json": "a", "Policies/p.json": "p", "Plugins/New.json": "none", "Plugins/bin/A/A": "another program"} {
		if got := g.read(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	// Nothing is lost.
	aside, err := filepath.Glob(filepath.Join(g.root, "State/aside/*"))
	if err != nil || len(aside) != 2 {
		t.Errorf("%q, %v", aside, err)
	}
	program := filepath.Join(g.root, "Plugins/bin/A/A")
	digest, err := digestOf(program)
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Admit(program, digest); !errors.Is(err, ErrUnapproved) || core.KindOf(err) != core.NotPermitted {
		t.Errorf("another program starts: %v", err)
	}
	if _, err := g.Approve(admin, func(string) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := g.Admit(program, digest); err != nil {
		t.Errorf("an approved program does not start: %v", err)
	}
}

// What has not changed is not read again, and what has is, whatever its length.
func TestFilesAreReadOnce(t *testing.T) {
	g := newGrove(t)
	reads := 0
	read := g.cfg.Read
	g.cfg.Read = func(path string, limit int64) ([]byte, error) {
		reads++
		return read(path, limit)
	}
	for range 3 {
		g.guard(t, false)
	}
	if reads != 2 {
		t.Errorf("two files were read %d times", reads)
	}
	g.write(t, "Plugins/A.json", "b")
	if err := os.Chtimes(filepath.Join(g.root, "Plugins/A.json"), time.Now(), time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	g.guard(t, false, "Plugins/A.json changed ")
}

// What is too long is known by its digest alone; an empty file comes back.
func TestWhatIsKept(t *testing.T) {
	g := newGrove(t)
	g.write(t, "Plugins/A.json", strings.Repeat("a", maxKept+1))
	g.write(t, "Policies/p.json", "")
	if names, err := g.Approve(admin, func(string) bool { return true }); err != nil || len(names) != 2 {
		t.Fatalf("%q, %v", names, err)
	}
	g.restore = true
	g.write(t, "Policies/p.json", "not empty")
	g.write(t, "Plugins/A.json", "short")
	g.guard(t, true, "Plugins/A.json changed cannot be put back: only its digest is kept", "Policies/p.json changed "+view.Restored)
	if got := g.read("Policies/p.json"); got != "" {
		t.Errorf("%q", got)
	}
}

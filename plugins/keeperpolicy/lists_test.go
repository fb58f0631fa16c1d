package keeperpolicy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Of many names in one folder most are not there. Those that are lead where they lead, and
// those that come later are noticed.
func TestManyNamesInOneFolder(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "bin")
	if err := errors.Join(os.Mkdir(bin, 0o755), os.WriteFile(filepath.Join(bin, "mawk"), nil, 0o755), os.Symlink("mawk", filepath.Join(bin, "awk"))); err != nil {
		t.Fatal(err)
	}
	aged(t, filepath.Dir(bin), bin)
	at := func(name string) string { return filepath.Join(bin, name) }
	names := []string{at("awk"), at("mawk"), at("later"), at("with space")}
	for i := range 2 * manyNames {
		names = append(names, at(fmt.Sprint("absent", i)))
	}
	walks := 0
	counted := func(path string, visit func(at string, link, protected bool)) (string, error) {
		walks++
		return walk(path, visit)
	}
	l := newLinked(names, counted)
	expect := func(want ...string) {
		t.Helper()
		if got := slices.Sorted(slices.Values(l.to(at("mawk")))); !slices.Equal(got, want) {
			t.Errorf("links %v, want %v", got, want)
		}
	}
	expect(at("awk"))
	if walks > manyNames {
		t.Errorf("%d walks for what a list says", walks)
	}
	if l.unfollowed != 0 || len(l.followed) != 1 || len(l.followed[bin].names) != len(names) {
		t.Errorf("%d are not followed, %d directories are", l.unfollowed, len(l.followed))
	}
	for _, name := range []string{"later", "with space"} {
		if err := os.Symlink("mawk", at(name)); err != nil {
			t.Fatal(err)
		}
		expect(slices.Sorted(slices.Values(append(l.leads[at("mawk")], at(name))))...)
	}
}

// A folder that users can change is not listed, nor is one that a link leads to.
func TestFoldersThatAreNotListed(t *testing.T) {
	root := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(root, "home"), 0o755), os.Mkdir(filepath.Join(root, "real"), 0o755), os.Symlink("real", filepath.Join(root, "link"))); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]bool{"home": false, "link": false, "real": true, "none": false} {
		dir := filepath.Join(root, folder)
		l := &linked{resolve: walk}
		var all []int
		for i := range manyNames {
			l.names, all = append(l.names, name{path: filepath.Join(dir, fmt.Sprint(i))}), append(all, i)
		}
		l.list(all)
		if _, listed := l.lists[dir]; listed != want {
			t.Errorf("%s: listed %v, want %v", folder, listed, want)
		}
	}
}

func TestNamesThatAListCannotTellOf(t *testing.T) {
	l := list{"awk": {}}
	for name, want := range map[string]bool{"mawk": true, "a-b_c.d+1": true, "awk": false, "AWK": false, "..": false, ".": false, "": false, "x.": false, "PROGRA~1": false, "aw\u212a": false, "a b": false} {
		if got := l.lacks(name); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
	if list(nil).lacks("mawk") {
		t.Error("what is not known is taken for a folder with nothing in it")
	}
}

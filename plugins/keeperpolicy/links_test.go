package keeperpolicy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// walk follows links as the platform does, and takes for unprotected what lies
// below a folder called "home".
func walk(path string, visit func(at string, link, protected bool)) (string, error) {
	at, rest := "/", strings.Split(strings.Trim(path, "/"), "/")
	for steps := 0; ; steps++ {
		if visit != nil {
			visit(at, false, !strings.Contains(at+"/", "/home/"))
		}
		if len(rest) == 0 || rest[0] == "" {
			return at, nil
		}
		next := filepath.Join(at, rest[0])
		rest = rest[1:]
		info, err := os.Lstat(next)
		if err != nil || steps > 100 {
			return "", errors.Join(err, fmt.Errorf("%s leads nowhere", path))
		}
		at = next
		if info.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if visit != nil {
			visit(at, true, !strings.Contains(at+"/", "/home/"))
		}
		target, err := os.Readlink(next)
		if err != nil {
			return "", err
		}
		if at = filepath.Dir(next); filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
}

// aged makes what lies in a directory as old as what is not changed just now.
func aged(t *testing.T, dirs ...string) {
	t.Helper()
	old := time.Now().Add(-time.Hour)
	for _, dir := range dirs {
		if err := os.Chtimes(dir, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLinksAreFollowedForEveryDecision(t *testing.T) {
	root := t.TempDir()
	at := func(name string) string { return filepath.Join(root, name) }
	for _, dir := range []string{"bin", "etc", "home", "app/v1", "app/v2"} {
		if err := os.MkdirAll(at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, target string) {
		t.Helper()
		if err := errors.Join(os.Symlink(target, at("next")), os.Rename(at("next"), at(name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"bin/mawk", "bin/gawk", "app/v1/tool", "app/v2/tool"} {
		if err := os.WriteFile(at(file), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put("bin/awk", at("etc/awk"))
	put("etc/awk", "../bin/mawk")
	put("bin/nawk", "awk")
	put("app/current", "v1")
	put("home/tool", "../bin/mawk")
	aged(t, root, at("bin"), at("etc"), at("app"), at("home"))
	l := newLinked([]string{at("bin") + "/", at("app/current/tool"), at("home/tool"), at("bin/absent"), at("home") + "/"}, walk)
	expect := func(program string, want ...string) {
		t.Helper()
		var full []string
		for _, name := range want {
			full = append(full, at(name))
		}
		got := slices.Sorted(slices.Values(l.to(at(program))))
		if !slices.Equal(got, full) {
			t.Errorf("%s: links %v, want %v", program, got, full)
		}
	}
	expect("bin/mawk", "bin/awk", "bin/nawk", "home/tool")
	expect("bin/gawk")
	expect("app/v1/tool", "app/current/tool")
	// In the middle of a chain, in a directory that is only on the way.
	put("etc/awk", "../bin/gawk")
	expect("bin/mawk", "home/tool")
	expect("bin/gawk", "bin/awk", "bin/nawk")
	put("app/current", "v2")
	expect("app/v1/tool")
	expect("app/v2/tool", "app/current/tool")
	// Twice within the granularity of time.
	put("app/current", "v1")
	expect("app/v1/tool", "app/current/tool")
	// A new one, one that goes, and one that was not there.
	put("bin/myawk", "gawk")
	if err := os.Remove(at("bin/nawk")); err != nil {
		t.Fatal(err)
	}
	put("bin/absent", "gawk")
	expect("bin/gawk", "bin/absent", "bin/absent", "bin/awk", "bin/myawk")
	// A directory on the way is exchanged as a whole.
	if err := errors.Join(os.Rename(at("etc"), at("old")), os.Mkdir(at("etc"), 0o755)); err != nil {
		t.Fatal(err)
	}
	put("etc/awk", "../bin/mawk")
	aged(t, root, at("etc"))
	expect("bin/mawk", "bin/awk", "home/tool")
	// Where users can make links.
	put("home/tool", "../bin/gawk")
	expect("bin/mawk", "bin/awk")
}

func TestManyNamesWhereUsersMakeLinks(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	if err := os.Mkdir(home, 0o755); err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range maxVolatile + 3 {
		names = append(names, filepath.Join(home, fmt.Sprint(i)))
	}
	if l := newLinked(names, walk); l.unfollowed != 3 || len(l.volatile) != maxVolatile {
		t.Errorf("%d are not followed, %d are", l.unfollowed, len(l.volatile))
	}
	names = names[:0]
	for i := range maxFollowed + 2 {
		dir := filepath.Join(home, "..", fmt.Sprint("d", i))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		names = append(names, filepath.Clean(dir)+"/tool")
	}
	if l := newLinked(names, walk); l.unfollowed != 2 || len(l.followed) != maxFollowed {
		t.Errorf("of names in many directories %d are not followed, %d directories are", l.unfollowed, len(l.followed))
	}
	if l := newLinked(names, nil); l.to("/x") != nil {
		t.Error("links without a resolver")
	}
}

package packages

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"kpm/core"
)

const status = `Package: a
Status: install ok installed
Multi-Arch: same
Architecture: amd64
Version: 1:2.3-4
Description: one
 two
  Package: not a field
Conffiles:
 /etc/a 0123456789abcdef0123456789abcdef
 /etc/gone 0123456789abcdef0123456789abcdef obsolete
 /etc/new newconffile

Package: b
STATUS: deinstall ok config-files
Architecture: all


Package: c
Status: install ok installed
Architecture: i386
Version: 1

Package: c
Status: deinstall ok config-files
Architecture: amd64
Version: 2
`

func TestReadStatus(t *testing.T) {
	t.Parallel()
	all, err := readStatus(strings.NewReader(status))
	if err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(all)); !slices.Equal(keys, []string{"a:amd64", "b", "c"}) {
		t.Errorf("%q", keys)
	}
	a, b, c := all["a:amd64"], all["b"], all["c"]
	if a == nil || a.version != "1:2.3-4" || !a.whole() || len(a.conffiles) != 3 || a.conffiles["/etc/new"] != "newconffile" {
		t.Errorf("%+v", a)
	}
	if b == nil || b.whole() || b.state != "ok config-files" || c == nil || !c.whole() || c.version != "1" {
		t.Errorf("%+v, %+v", b, c)
	}
	for name, text := range map[string]string{
		"no field":             "Package: a\nnonsense\n",
		"a field twice":        "Package: a\nStatus: install ok installed\nStatus: install ok installed\n",
		"a field twice, aloud": "Package: a\nStatus: install ok installed\nPACKAGE: b\n",
		"a line of no field":   " continued\n",
		"no name":              "Status: install ok installed\n",
		"no state":             "Package: a\n",
		"half a state":         "Package: a\nStatus: install\n",
		"zeros":                strings.Repeat("\x00", 100),
		"a line without end":   "Package: " + strings.Repeat("a", maxLine+1),
	} {
		if all, err := readStatus(strings.NewReader(text)); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v, %v", name, all, err)
		}
	}
}

func TestFindMD5(t *testing.T) {
	t.Parallel()
	const sum, other = "0123456789abcdef0123456789abcdef", "ffffffffffffffffffffffffffffffff"
	for name, c := range map[string]struct {
		text  string
		found bool
		fault bool
	}{
		"there":               {other + "  usr/bin/b\n" + sum + "  usr/bin/a\n", true, false},
		"without a newline":   {sum + "  usr/bin/a", true, false},
		"twice the same":      {sum + "  usr/bin/a\n" + sum + "  usr/bin/a\n", true, false},
		"nothing":             {"", false, false},
		"a longer path":       {sum + "  usr/bin/a/b\n" + sum + "  usr/bin/ab\n", false, false},
		"with a slash":        {sum + "  /usr/bin/a\n", false, false},
		"with a dot":          {sum + "  ./usr/bin/a\n", false, false},
		"a name that ends so": {sum + "  opt/usr/bin/a\n", false, false},
		"two digests":         {sum + "  usr/bin/a\n" + other + "  usr/bin/a\n", false, true},
		"a short digest":      {sum[:31] + "  usr/bin/a\n", false, true},
		"a long digest":       {sum + "00  usr/bin/a\n", false, true},
		"one blank":           {sum + " usr/bin/a\n", false, true},
		"no hex":              {strings.Repeat("z", 32) + "  usr/bin/a\n", false, true},
		"a line of nonsense":  {sum + "  usr/bin/a\nnonsense\n", false, true},
	} {
		digest, err := findMD5([]byte(c.text), "/usr/bin/a")
		if (err != nil) != c.fault || !c.fault && (digest != nil) != c.found || c.fault && !errors.Is(err, errMalformed) {
			t.Errorf("%s: %x, %v", name, digest, err)
		}
		if c.found && fmt.Sprintf("%x", digest) != sum {
			t.Errorf("%s: %x", name, digest)
		}
	}
}

func TestReadDiversions(t *testing.T) {
	t.Parallel()
	list, err := readDiversions([]byte("/a\n/a.real\np\n/b\n/b.real\n:\n"))
	if want := []diversion{{"/a", "/a.real", "p"}, {"/b", "/b.real", ":"}}; err != nil || !slices.Equal(list, want) {
		t.Errorf("%v, %v", list, err)
	}
	for _, text := range []string{"/a\n", "/a\n/b\n", "/a\n/b\np\n/c\n", "a\n/b\np\n", "/a\nb\np\n", "/a\n/b\n\n", "\n\n\n"} {
		if list, err := readDiversions([]byte(text)); !errors.Is(err, errMalformed) {
			t.Errorf("%q: %v, %v", text, list, err)
		}
	}
}

// What somebody did to dpkg's files makes a changed file trusted only where it
// says that this is what the package installed: dpkg signs nothing.
func TestManipulatedDpkg(t *testing.T) {
	t.Parallel()
	const evil = "evil"
	base := newSystem(t)
	base.deb("tools", "Architecture: all", map[string]string{"/usr/bin/tool": "the tool", "/etc/tool.conf": "c", "/usr/bin/none": "x"})
	saved := map[string]string{}
	for _, name := range []string{dpkgStatus, dpkgInfo + "/tools.list", dpkgInfo + "/tools.md5sums"} {
		saved[name] = base.read(name)
	}
	const md5sums, list = dpkgInfo + "/tools.md5sums", dpkgInfo + "/tools.list"
	sum := fmt.Sprintf("%x", md5Of("the tool"))
	for name, c := range map[string]struct {
		change   func()
		standing core.Standing
		reason   string
	}{
		"the file alone":         {func() {}, core.Broken, "it is not what package tools"},
		"the digest":             {func() { base.edit(md5sums, sum, fmt.Sprintf("%x", md5Of(evil))) }, core.Trusted, "nobody has signed"},
		"the digest, added":      {func() { base.write(md5sums, saved[md5sums]+fmt.Sprintf("%x  usr/bin/tool\n", md5Of(evil))) }, core.Untrusted, "two digests"},
		"the digest, cut":        {func() { base.edit(md5sums, sum, sum[:20]) }, core.Untrusted, "no digest of a file"},
		"the digest, removed":    {func() { base.edit(md5sums, "usr/bin/tool", "usr/bin/tools") }, core.Untrusted, "no digest of it"},
		"no digests":             {func() { base.remove(md5sums) }, core.Untrusted, "no digest of it"},
		"empty digests":          {func() { base.write(md5sums, "") }, core.Untrusted, "no digest of it"},
		"digests of zeros":       {func() { base.write(md5sums, strings.Repeat("\x00", 1<<16)) }, core.Untrusted, "no digest of a file"},
		"a directory of digests": {func() { base.remove(md5sums); base.write(md5sums+"/x", "") }, core.Untrusted, "cannot be read"},
		"a conffile":             {func() { base.edit(dpkgStatus, " /etc/tool.conf", " /usr/bin/tool") }, core.Untrusted, "a configuration file of package tools, changed since"},
		"a conffile without MD5": {func() { base.edit(dpkgStatus, " /etc/tool.conf ", " /usr/bin/tool newconffile ") }, core.Untrusted, "no digest of it"},
		"not listed":             {func() { base.edit(list, "/usr/bin/tool\n", "/usr/bin/loot\n") }, core.Broken, ""},
		"listed without a slash": {func() { base.edit(list, "/usr/bin/tool\n", "usr/bin/tool\n") }, core.Broken, ""},
		"no list":                {func() { base.remove(list) }, core.Broken, ""},
		"no status":              {func() { base.write(dpkgStatus, "") }, core.Untrusted, "not known to dpkg"},
		"status gone":            {func() { base.remove(dpkgStatus) }, core.Broken, ""},
		"status of nonsense":     {func() { base.write(dpkgStatus, "nonsense") }, core.Untrusted, "dpkg's database cannot be read"},
		"half installed":         {func() { base.edit(dpkgStatus, "ok installed", "ok half-installed") }, core.Untrusted, `"ok half-installed"`},
		"to be reinstalled":      {func() { base.edit(dpkgStatus, "ok installed", "reinstreq installed") }, core.Untrusted, `"reinstreq installed"`},
		"another name":           {func() { base.edit(dpkgStatus, "Package: tools", "Package: toolz") }, core.Untrusted, "not known to dpkg"},
		"another architecture":   {func() { base.edit(dpkgStatus, "Package: tools", "Multi-Arch: same\nPackage: tools") }, core.Untrusted, "not known to dpkg"},
		"diversions of nonsense": {func() { base.write(dpkgDiversions, "x") }, core.Untrusted, "dpkg's database cannot be read"},
		"diverted away":          {func() { base.write(dpkgDiversions, "/usr/bin/tool\n/usr/bin/elsewhere\nother\n") }, core.Broken, ""},
		"diverted here":          {func() { base.write(dpkgDiversions, "/usr/bin/none\n/usr/bin/tool\nother\n") }, core.Broken, "it is not what package tools"},
		"diverted by its own":    {func() { base.write(dpkgDiversions, "/usr/bin/tool\n/usr/bin/elsewhere\ntools\n") }, core.Broken, "it is not what package tools"},
		"diverted in a circle": {func() {
			base.write(dpkgDiversions, "/usr/bin/tool\n/usr/bin/none\n:\n/usr/bin/none\n/usr/bin/tool\n:\n")
		}, core.Broken, ""},
	} {
		os.RemoveAll(base.path(md5sums))
		for file, text := range saved {
			base.write(file, text)
		}
		os.Remove(base.path(dpkgDiversions))
		base.write("/usr/bin/tool", evil)
		c.change()
		base.expectDpkg(name, base.ask(base.open(), "/usr/bin/tool"), c.standing, c.reason)
	}
}

// A database that someone else could have written is not read.
func TestDatabasesOfOthersAreNotRead(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("a", "Architecture: all", map[string]string{"/usr/bin/a": "a"})
	s.rpm("-i", s.build("b", map[string]string{"/usr/bin/b": "b"}, "", ""))
	db := Open(Config{Root: s.root, Open: func(string) (*os.File, error) { return nil, core.ErrNotProtected }})
	for _, name := range []string{"/usr/bin/a", "/usr/bin/b", "/usr/bin/none"} {
		got := db.Evidence(t.Context(), name, s.digest(name))
		if len(got) != 2 || got[0].Standing != core.Untrusted || got[1].Standing != core.Untrusted ||
			!strings.Contains(got[0].Reason, core.ErrNotProtected.Error()) || !strings.Contains(got[1].Reason, core.ErrNotProtected.Error()) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A file that cannot be hashed is not what a package installed, and not changed
// either.
func TestUnreadableFiles(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("a", "Architecture: all", map[string]string{"/usr/bin/a": "a"})
	s.rpm("-i", s.build("b", map[string]string{"/usr/bin/b": "b"}, "", ""))
	for _, name := range []string{"/usr/bin/a", "/usr/bin/b"} {
		s.remove(name)
		got := s.ask(s.open(), name)
		if len(got) != 1 || got[0].Standing != core.Untrusted || !strings.Contains(got[0].Reason, "could not be compared") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func FuzzDpkgFiles(f *testing.F) {
	f.Add([]byte(status), []byte("/.\n/usr/bin/a\n"))
	f.Add([]byte("/a\n/b\np\n"), []byte("0123456789abcdef0123456789abcdef  usr/bin/a\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if all, err := readStatus(bytes.NewReader(a)); err == nil {
			for key, p := range all {
				if p.name == "" || p.state == "" || !strings.HasPrefix(key, p.name) {
					t.Errorf("%q: %+v", key, p)
				}
			}
		}
		if list, err := readDiversions(a); err == nil && len(list)*3 > bytes.Count(a, []byte("\n"))+1 {
			t.Errorf("%d diversions in %q", len(list), a)
		}
		if digest, err := findMD5(b, "/usr/bin/a"); err == nil && digest != nil && len(digest) != 16 {
			t.Errorf("%x", digest)
		}
		eachPath(b, func(path []byte) {
			if path[0] != '/' || bytes.ContainsRune(path, '\n') {
				t.Errorf("%q", path)
			}
		})
	})
}

package packages

import (
	"context"
	"crypto"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// system is a root directory with packages of its own.
type system struct {
	t    testing.TB
	root string
	// asked counts how often a file was hashed.
	asked int
}

func newSystem(t testing.TB) *system {
	t.Helper()
	s := &system{t: t, root: t.TempDir()}
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers", "var/log", "usr/bin", "usr/lib"} {
		if err := os.MkdirAll(filepath.Join(s.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("/var/lib/dpkg/status", "")
	for _, dir := range []string{"bin", "lib"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(s.root, dir)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *system) path(name string) string { return filepath.Join(s.root, name) }

func (s *system) write(name, content string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(content), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) read(name string) string {
	s.t.Helper()
	data, err := os.ReadFile(s.path(name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(data)
}

// edit replaces text in a file of the system.
func (s *system) edit(name, old, replacement string) {
	s.t.Helper()
	data := s.read(name)
	if !strings.Contains(data, old) {
		s.t.Fatalf("%s has no %q", name, old)
	}
	s.write(name, strings.Replace(data, old, replacement, 1))
}

func (s *system) remove(name string) {
	s.t.Helper()
	if err := os.Remove(s.path(name)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) run(name string, args ...string) string {
	s.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return string(out)
}

// deb builds and installs a Debian package. Files that begin with /etc are its
// configuration files.
func (s *system) deb(name, control string, files map[string]string) {
	s.t.Helper()
	tree := &system{t: s.t, root: s.t.TempDir()}
	var conffiles, sums strings.Builder
	for path, content := range files {
		tree.write(path, content)
		if strings.HasPrefix(path, "/etc/") {
			fmt.Fprintln(&conffiles, path)
		} else {
			fmt.Fprintf(&sums, "%x  %s\n", md5Of(content), path[1:])
		}
	}
	tree.write("/DEBIAN/control", "Package: "+name+"\nVersion: 1.2-3\nMaintainer: M <m@example.org>\nDescription: x\n"+control+"\n")
	tree.write("/DEBIAN/md5sums", sums.String())
	if conffiles.Len() > 0 {
		tree.write("/DEBIAN/conffiles", conffiles.String())
	}
	file := filepath.Join(s.t.TempDir(), "x.deb")
	s.run("dpkg-deb", "--root-owner-group", "--build", tree.root, file)
	s.dpkg("--install", file)
}

func (s *system) dpkg(args ...string) {
	s.t.Helper()
	s.run("dpkg", append([]string{"--root=" + s.root, "--force-architecture", "--force-depends", "--force-not-root", "--force-unsafe-io"}, args...)...)
}

func md5Of(content string) []byte {
	h := crypto.MD5.New()
	h.Write([]byte(content))
	return h.Sum(nil)
}

// open opens the databases as they are now.
func (s *system) open() *Database { return Open(Config{Root: s.root}) }

// ask asks about the file at name, as it is now.
func (s *system) ask(db *Database, name string) []core.Evidence {
	s.t.Helper()
	return db.Evidence(context.Background(), name, func(_ context.Context, h crypto.Hash) ([]byte, error) {
		s.asked++
		data, err := os.ReadFile(s.path(name))
		if err != nil {
			return nil, err
		}
		hash := h.New()
		hash.Write(data)
		return hash.Sum(nil), nil
	})
}

// expect checks that there is one piece of evidence of this standing which says
// so; a reason of "" means that there is none at all.
func (s *system) expect(what string, got []core.Evidence, kind string, rank core.Rank, standing core.Standing, reason string) {
	s.t.Helper()
	switch {
	case reason == "" && len(got) == 0:
	case reason == "" || len(got) != 1:
		s.t.Errorf("%s: %+v", what, got)
	case got[0].Kind != kind || got[0].Rank != rank || got[0].Standing != standing || !strings.Contains(got[0].Reason, reason):
		s.t.Errorf("%s: %s %v %v %q, expected %v %v %q", what, got[0].Kind, got[0].Rank, got[0].Standing, got[0].Reason, rank, standing, reason)
	}
}

func (s *system) expectDpkg(what string, got []core.Evidence, standing core.Standing, reason string) {
	s.t.Helper()
	s.expect(what, got, core.KindDPKG, core.RankRecorded, standing, reason)
}

func TestDpkg(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("tools", "Architecture: all", map[string]string{
		"/usr/bin/tool": "the tool", "/bin/old": "by its old name", "/lib/sub/dir/lib.so": "a library", "/etc/tool.conf": "a=b",
		"/usr/bin/blank in name": "x",
	})
	s.deb("one", "Architecture: amd64\nMulti-Arch: same", map[string]string{"/usr/share/one": "shared", "/usr/lib/amd64/one": "amd64"})
	s.deb("one", "Architecture: i386\nMulti-Arch: same", map[string]string{"/usr/share/one": "shared", "/usr/lib/i386/one": "i386"})
	s.write("/usr/bin/mine", "nobody's")
	db := s.open()
	for name, reason := range map[string]string{
		"/usr/bin/tool":           "it is what package tools 1.2-3 installed, by an MD5 digest that nobody has signed",
		"/usr/bin/old":            "it is what package tools",
		"/bin/old":                "it is what package tools",
		"/usr/lib/sub/dir/lib.so": "it is what package tools",
		"/etc/tool.conf":          "it is what package tools",
		"/usr/bin/blank in name":  "it is what package tools",
		"/usr/share/one":          "it is what package one",
		"/usr/lib/amd64/one":      "it is what package one",
		"/usr/lib/i386/one":       "it is what package one",
	} {
		e := s.ask(db, name)
		s.expectDpkg(name, e, core.Trusted, reason)
		if len(e) == 1 && (e[0].Digest != "MD5" || !strings.HasSuffix(e[0].Signer, " 1.2-3")) {
			t.Errorf("%s: %+v", name, e[0])
		}
	}
	before := s.asked
	for _, name := range []string{"/usr/bin/mine", "/usr/bin/nothing", "/usr/bin", "/", "/usr/bin/tool (deleted)", "/usr/bin/../bin/tool",
		"/usr/bin/tool/", "//usr/bin/tool", "usr/bin/tool", "", ".", "/usr/bin/tool\n", "/usr/bin/blank"} {
		if e := s.ask(db, name); name != "/usr/bin" && len(e) > 0 {
			t.Errorf("%q: %+v", name, e)
		}
	}
	if s.asked != before {
		t.Error("files that no package has were hashed")
	}
	if out := s.run("dpkg", "--root="+s.root, "-V"); out != "" {
		t.Errorf("dpkg -V disagrees: %s", out)
	}
	s.write("/usr/bin/tool", "changed")
	s.write("/etc/tool.conf", "a=c")
	s.write("/usr/lib/i386/one", "amd64")
	s.expectDpkg("changed", s.ask(db, "/usr/bin/tool"), core.Broken, "it is not what package tools 1.2-3 installed")
	s.expectDpkg("changed", s.ask(db, "/usr/lib/i386/one"), core.Broken, "it is not what package one")
	s.expectDpkg("changed", s.ask(db, "/etc/tool.conf"), core.Untrusted, "a configuration file of package tools, changed since")
	out, _ := exec.Command("dpkg", "--root="+s.root, "-V").Output()
	for _, name := range []string{"/usr/bin/tool", "/etc/tool.conf", "/usr/lib/i386/one"} {
		if !strings.Contains(string(out), name) {
			t.Errorf("dpkg -V does not name %s: %s", name, out)
		}
	}
}

// A diverted file is its own package's, at its own place; and the one that took
// the place is the diverting package's.
func TestDiversions(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("original", "Architecture: all", map[string]string{"/usr/bin/x": "original", "/usr/bin/y": "kept"})
	s.run("dpkg-divert", "--admindir="+s.path("/var/lib/dpkg"), "--instdir="+s.root, "--package", "wrapper", "--rename",
		"--divert", "/usr/bin/x.real", "--add", "/usr/bin/x")
	s.run("dpkg-divert", "--admindir="+s.path("/var/lib/dpkg"), "--instdir="+s.root, "--local", "--rename",
		"--divert", "/usr/bin/y.real", "--add", "/usr/bin/y")
	s.deb("wrapper", "Architecture: all", map[string]string{"/usr/bin/x": "wrapper"})
	s.write("/usr/bin/y", "the administrator's own")
	if s.read("/usr/bin/x.real") != "original" || s.read("/usr/bin/x") != "wrapper" || s.read("/usr/bin/y.real") != "kept" {
		t.Fatal("the diversions do not divert")
	}
	db := s.open()
	s.expectDpkg("diverted", s.ask(db, "/usr/bin/x.real"), core.Trusted, "what package original")
	s.expectDpkg("diverting", s.ask(db, "/usr/bin/x"), core.Trusted, "what package wrapper")
	s.expectDpkg("diverted by hand", s.ask(db, "/usr/bin/y.real"), core.Trusted, "what package original")
	s.expectDpkg("by hand", s.ask(db, "/usr/bin/y"), core.Untrusted, "")
	// Attack: the diverted file is put where the wrapper was.
	s.write("/usr/bin/x", "original")
	s.write("/usr/bin/x.real", "wrapper")
	s.expectDpkg("swapped", s.ask(db, "/usr/bin/x"), core.Broken, "not what package wrapper")
	s.expectDpkg("swapped", s.ask(db, "/usr/bin/x.real"), core.Broken, "not what package original")
}

func TestOnlyWhatIsInstalledCounts(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("p", "Architecture: all", map[string]string{"/usr/bin/p": "p", "/etc/p.conf": "p"})
	s.deb("unpacked", "Architecture: all", map[string]string{"/usr/bin/u": "u"})
	s.deb("q", "Architecture: all", map[string]string{"/usr/bin/q": "q"})
	s.edit("/var/lib/dpkg/status", "Package: unpacked\nStatus: install ok installed", "Package: unpacked\nStatus: install ok unpacked")
	s.edit("/var/lib/dpkg/status", "Package: q\nStatus: install ok installed", "Package: q\nStatus: hold ok installed")
	db := s.open()
	s.expectDpkg("held", s.ask(db, "/usr/bin/q"), core.Trusted, "what package q")
	s.expectDpkg("unpacked", s.ask(db, "/usr/bin/u"), core.Untrusted, `in the state "ok unpacked"`)
	s.expectDpkg("installed", s.ask(db, "/etc/p.conf"), core.Trusted, "what package p")
	s.dpkg("--remove", "p")
	s.expectDpkg("removed", s.ask(db, "/etc/p.conf"), core.Untrusted, `in the state "ok config-files"`)
	s.write("/usr/bin/p", "p")
	s.expectDpkg("removed", s.ask(db, "/usr/bin/p"), core.Untrusted, "")
	s.dpkg("--purge", "p")
	s.write("/etc/p.conf", "p")
	s.expectDpkg("purged", s.ask(db, "/etc/p.conf"), core.Untrusted, "")
}

// The index follows the database, and is not read again for nothing.
func TestTheIndexFollows(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("a", "Architecture: all", map[string]string{"/usr/bin/a": "a"})
	opened, now := 0, time.Now()
	db := Open(Config{Root: s.root, Now: func() time.Time { return now }, Open: func(path string) (*os.File, error) {
		opened++
		return os.Open(path)
	}})
	s.expectDpkg("a", s.ask(db, "/usr/bin/a"), core.Trusted, "what package a")
	now = now.Add(time.Hour) // so long ago that every change would have shown
	s.ask(db, "/usr/bin/none")
	opened = 0
	s.ask(db, "/usr/bin/none")
	if opened > 2 { // rpm's
		t.Errorf("%d files opened, though nothing has changed", opened)
	}
	stamp := db.Stamp()
	if db.Stamp() != stamp {
		t.Error("the stamp changes by itself")
	}
	s.deb("b", "Architecture: all", map[string]string{"/usr/bin/b": "b"})
	if db.Stamp() == stamp {
		t.Error("a new package does not change the stamp")
	}
	s.expectDpkg("b", s.ask(db, "/usr/bin/b"), core.Trusted, "what package b")
	s.deb("a", "Architecture: all", map[string]string{"/usr/bin/a": "a, anew", "/usr/bin/a2": "2"})
	s.expectDpkg("a", s.ask(db, "/usr/bin/a"), core.Trusted, "what package a")
	s.expectDpkg("a2", s.ask(db, "/usr/bin/a2"), core.Trusted, "what package a")
	s.dpkg("--purge", "a")
	s.write("/usr/bin/a", "a, anew")
	s.expectDpkg("purged", s.ask(db, "/usr/bin/a"), core.Untrusted, "")
}

// While dpkg is at work, what it has recorded is not yet what is true.
func TestDpkgAtWork(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.deb("a", "Architecture: all", map[string]string{"/usr/bin/a": "a"})
	s.write("/usr/bin/a", "newer")
	db := s.open()
	s.expectDpkg("at rest", s.ask(db, "/usr/bin/a"), core.Broken, "it is not what")
	s.write("/var/lib/dpkg/updates/0003", "Package: a\n")
	s.expectDpkg("at work", s.ask(db, "/usr/bin/a"), core.Untrusted, "dpkg is at work, or was interrupted")
	s.remove("/var/lib/dpkg/updates/0003")
	s.write("/var/lib/dpkg/updates/tmp.i", "")
	s.expectDpkg("at rest again", s.ask(db, "/usr/bin/a"), core.Broken, "it is not what")
}

// What the system that runs this test has installed is what dpkg says it is.
func TestThisMachine(t *testing.T) {
	t.Parallel()
	db := Open(Config{})
	s := &system{t: t, root: "/"}
	for _, name := range []string{"dpkg", "coreutils", "bash", "dash", "libc6", "passwd"} {
		for _, path := range strings.Fields(s.run("dpkg", "-L", name)) {
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				continue
			}
			info, err := os.Stat(real)
			if err != nil || !info.Mode().IsRegular() || strings.Contains(real, " ") {
				continue
			}
			e := s.ask(db, real)
			if strings.HasPrefix(real, "/etc/") {
				if len(e) == 1 && e[0].Standing == core.Broken {
					t.Errorf("%s: %+v", real, e)
				}
				continue
			}
			if len(e) != 1 || e[0].Standing != core.Trusted {
				t.Errorf("%s (%s): %+v", real, path, e)
			}
		}
	}
}

func BenchmarkEvidence(b *testing.B) {
	s := &system{t: b, root: "/"}
	for name, path := range map[string]string{"owned": "/usr/bin/dpkg", "unknown": "/usr/local/bin/nothing"} {
		b.Run(name, func(b *testing.B) {
			db := Open(Config{Now: func() time.Time { return time.Now().Add(time.Hour) }})
			s.ask(db, path)
			for b.Loop() {
				db.Evidence(context.Background(), path, func(context.Context, crypto.Hash) ([]byte, error) { return nil, nil })
			}
		})
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			s.ask(Open(Config{}), "/usr/local/bin/nothing")
		}
	})
}

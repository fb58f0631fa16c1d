package packages

import (
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/openpgp"
	"kpm/trust/openpgp/gpgtest"
)

const rpmdb = "/var/lib/rpm/rpmdb.sqlite"

// vendor signs rpm packages.
type vendor struct {
	*gpgtest.GPG
	key string
}

func newVendor(t testing.TB, algorithm string) vendor {
	t.Helper()
	g := gpgtest.New(t)
	return vendor{g, g.Generate("Vendor <v@example.org>", algorithm, "sign", "never")}
}

func (v vendor) keyring(t testing.TB) *openpgp.Keyring {
	t.Helper()
	k, err := openpgp.ReadKeyring(strings.NewReader(string(v.Export(v.key))))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func trusting(s *system, keys *openpgp.Keyring) *Database {
	return Open(Config{Root: s.root, Keys: func() *openpgp.Keyring { return keys }})
}

// build builds an rpm package and returns its file. Files that begin with /etc
// are configuration files; preamble and list are lines of the spec file.
func (s *system) build(name string, files map[string]string, preamble, list string, options ...string) string {
	s.t.Helper()
	dir := s.t.TempDir()
	var install, all strings.Builder
	for path, content := range files {
		fmt.Fprintf(&install, "mkdir -p %%{buildroot}%s\nprintf %%%%s '%s' > %%{buildroot}%s\n", filepath.Dir(path), content, path)
		if strings.HasPrefix(path, "/etc/") {
			all.WriteString("%config(noreplace) ")
		}
		fmt.Fprintf(&all, "%%attr(0755,root,root) %s\n", path)
	}
	spec := filepath.Join(dir, "x.spec")
	text := "Name: " + name + "\nVersion: 1.0\nRelease: 2\nSummary: x\nLicense: MIT\nBuildArch: noarch\n" + preamble +
		"\n%description\nx\n%install\n" + install.String() + "\n%files\n" + all.String() + list
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.run("rpmbuild", append(options, "-bb", "--quiet", "--define", "_topdir "+dir, "--define", "_build_id_links none",
		"--define", "__os_install_post %{nil}", spec)...)
	return filepath.Join(dir, "RPMS/noarch", name+"-1.0-2.noarch.rpm")
}

func (s *system) sign(v vendor, file string, options ...string) string {
	s.t.Helper()
	s.run("rpmsign", append(options, "--define", "_gpg_name "+v.key, "--define", "_gpg_path "+v.Home, "--define", "__gpg /usr/bin/gpg", "--addsign", file)...)
	return file
}

func (s *system) rpmArgs(args ...string) []string {
	return append([]string{"--root", s.root, "--dbpath", "/var/lib/rpm"}, args...)
}

func (s *system) rpm(args ...string) string {
	s.t.Helper()
	return s.run("rpm", s.rpmArgs(append([]string{"--nodeps", "--noscripts", "--nosignature"}, args...)...)...)
}

func (s *system) expectRPM(what string, got []core.Evidence, rank core.Rank, standing core.Standing, reason string) {
	s.t.Helper()
	s.expect(what, got, core.KindRPM, rank, standing, reason)
}

func TestRPM(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{"rsa2048", "ed25519"} {
		s, v := newSystem(t), newVendor(t, algorithm)
		file := s.sign(v, s.build("hello", map[string]string{
			"/usr/bin/hello": "hello", "/bin/old": "by its old name", "/etc/hello.conf": "a=b", "/usr/share/hello/LICENSE": "free", "/usr/bin/ghost": "g",
		}, "", "%ghost /usr/bin/made-later\n%dir /usr/share/hello\n"))
		s.rpm("-i", file)
		s.write("/usr/bin/made-later", "x")
		s.write("/usr/bin/mine", "x")
		db := trusting(s, v.keyring(t))
		for _, name := range []string{"/usr/bin/hello", "/usr/bin/old", "/bin/old", "/etc/hello.conf", "/usr/share/hello/LICENSE"} {
			e := s.ask(db, name)
			s.expectRPM(name, e, core.RankPackaged, core.Trusted, "it is what package hello-1.0-2.noarch installed, signed by a trusted key of Vendor <v@example.org>")
			if len(e) == 1 && (e[0].KeyID != v.key || e[0].Signer != "Vendor <v@example.org>" || e[0].Digest != "SHA-256") {
				t.Errorf("%+v", e[0])
			}
		}
		s.expectRPM("ghost", s.ask(db, "/usr/bin/made-later"), core.RankPackaged, core.Untrusted, "has the file and no digest of it")
		for _, name := range []string{"/usr/bin/mine", "/usr/share/hello", "/usr/share/hello/hello", "/hello", "/usr/bin/", "/"} {
			if e := s.ask(db, name); len(e) > 0 && name != "/usr/share/hello" {
				t.Errorf("%s: %+v", name, e)
			}
		}
		s.run("rpmkeys", s.rpmArgs("--import", s.armored(v))...)
		if out := s.run("rpmkeys", s.rpmArgs("-K", "-v", file)...); !strings.Contains(out, "Signature, key ID "+v.key[32:]+": OK") {
			t.Errorf("rpmkeys: %s", out)
		}

		s.write("/usr/bin/hello", "hellO")
		s.write("/etc/hello.conf", "a=c")
		s.expectRPM("changed", s.ask(db, "/usr/bin/hello"), core.RankPackaged, core.Broken, "it is not what package hello-1.0-2.noarch installed")
		s.expectRPM("changed", s.ask(db, "/etc/hello.conf"), core.RankPackaged, core.Untrusted, "configuration file of package hello")
		out, _ := exec.Command("rpm", s.rpmArgs("-V", "--nodeps", "hello")...).Output()
		for _, line := range []string{"..5......  c /etc/hello.conf", "..5......    /usr/bin/hello"} {
			if !strings.Contains(strings.ReplaceAll(string(out), "T", "."), line) {
				t.Errorf("rpm -V: %s, expected %s", out, line)
			}
		}
	}
}

// armored writes the vendor's key for rpm.
func (s *system) armored(v vendor) string {
	s.t.Helper()
	path := filepath.Join(s.t.TempDir(), "key.asc")
	if err := os.WriteFile(path, v.Run(nil, "--armor", "--export", v.key), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// Without a trusted signature over strong digests, what rpm has recorded is
// worth what dpkg's word is.
func TestRPMWithoutATrustedSignature(t *testing.T) {
	t.Parallel()
	s, v, other := newSystem(t), newVendor(t, "ed25519"), newVendor(t, "ed25519")
	build := func(name string, options ...string) string {
		return s.build(name, map[string]string{"/usr/bin/" + name: name}, "", "", options...)
	}
	s.rpm("-i", build("plain"))
	s.rpm("-i", s.sign(other, build("stranger")))
	s.rpm("-i", s.sign(v, build("md5", "--define", "_binary_filedigest_algorithm 1")))
	s.rpm("-i", s.sign(v, build("sha1", "--define", "_binary_filedigest_algorithm 2")))
	s.rpm("-i", s.sign(v, build("sha512", "--define", "_binary_filedigest_algorithm 10")))
	s.rpm("-i", s.sign(v, build("weak"), "--define", "_gpg_digest_algo sha1"))
	db := trusting(s, v.keyring(t))
	const nobody = "which no trusted signer has signed"
	for name, c := range map[string]struct {
		rank   core.Rank
		reason string
		check  string
	}{
		"plain":    {core.RankRecorded, nobody, "the package is not signed"},
		"stranger": {core.RankRecorded, nobody, "no configured key made this signature"},
		"md5":      {core.RankRecorded, nobody, "signed, but with file digests of MD5"},
		"sha1":     {core.RankRecorded, nobody, "signed, but with file digests of SHA-1"},
		"sha512":   {core.RankPackaged, "signed by a trusted key", v.key},
		"weak":     {core.RankRecorded, nobody, "another file may have the same signature"},
	} {
		e := s.ask(db, "/usr/bin/"+name)
		s.expectRPM(name, e, c.rank, core.Trusted, c.reason)
		said := false
		for _, check := range e[0].Checks {
			said = said || check.Name == checkSignature && strings.Contains(check.Detail, c.check)
		}
		if !said {
			t.Errorf("%s: %+v", name, e[0].Checks)
		}
		s.write("/usr/bin/"+name, "changed")
		s.expectRPM(name, s.ask(db, "/usr/bin/"+name), c.rank, core.Broken, "it is not what package")
	}
	s.expectRPM("no keys", s.ask(s.open(), "/usr/bin/sha512"), core.RankRecorded, core.Broken, "it is not what package")
}

// One name in many directories, and one file in several packages.
func TestManyOwners(t *testing.T) {
	t.Parallel()
	s, v := newSystem(t), newVendor(t, "ed25519")
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("/usr/share/many/%d/README", i)] = fmt.Sprint(i)
	}
	s.rpm("-i", s.sign(v, s.build("many", files, "", "")))
	s.rpm("-i", s.sign(v, s.build("first", map[string]string{"/usr/bin/both": "first"}, "", "")))
	s.rpm("-i", "--replacefiles", s.build("second", map[string]string{"/usr/bin/both": "second"}, "", ""))
	s.rpm("-i", s.build("third", map[string]string{"/usr/bin/same": "same"}, "", ""))
	s.rpm("-i", s.sign(v, s.build("fourth", map[string]string{"/usr/bin/same": "same"}, "", "")))
	db := trusting(s, v.keyring(t))
	for i := range 40 {
		name := fmt.Sprintf("/usr/share/many/%d/README", i)
		s.expectRPM(name, s.ask(db, name), core.RankPackaged, core.Trusted, "what package many")
	}
	s.expectRPM("another directory", s.ask(db, "/usr/share/many/README"), core.RankPackaged, core.Trusted, "")
	// rpm notes that the first one's file was replaced.
	s.expectRPM("replaced", s.ask(db, "/usr/bin/both"), core.RankRecorded, core.Trusted, "what package second")
	s.write("/usr/bin/both", "first")
	s.expectRPM("put back", s.ask(db, "/usr/bin/both"), core.RankRecorded, core.Broken, "not what package second")
	s.expectRPM("in two", s.ask(db, "/usr/bin/same"), core.RankPackaged, core.Trusted, "what package fourth")
}

// What is read is what was committed last, whether or not it has been carried
// over from the write-ahead log.
func TestRPMAtWork(t *testing.T) {
	t.Parallel()
	s, v := newSystem(t), newVendor(t, "ed25519")
	files := map[string]string{"/usr/bin/a": "a"}
	s.rpm("-i", s.sign(v, s.build("a", files, "", "")))
	before := s.blob(1)
	s.rpm("-U", "--force", s.sign(v, s.build("a", map[string]string{"/usr/bin/a": "anew"}, "", "")))
	s.setBlob(2, before)
	db := trusting(s, v.keyring(t))
	s.expectRPM("an older package", s.ask(db, "/usr/bin/a"), core.RankPackaged, core.Broken, "not what package a")
	stamp := db.Stamp()

	shell := exec.Command("sqlite3", s.path(rpmdb))
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := shell.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	defer shell.Wait()
	defer in.Close()
	say := func(statement string) {
		t.Helper()
		fmt.Fprintln(in, statement+"; SELECT 'done';")
		for text := ""; !strings.Contains(text, "done"); {
			b := make([]byte, 100)
			n, err := out.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			text += string(b[:n])
		}
	}
	newer := newSystem(t)
	newer.rpm("-i", newer.sign(v, newer.build("a", map[string]string{"/usr/bin/a": "anew"}, "", "")))
	say("PRAGMA journal_mode=WAL")
	say(fmt.Sprintf("PRAGMA synchronous=OFF; UPDATE Packages SET blob=x'%x' WHERE hnum=2", newer.blob(1)))
	if info, err := os.Stat(s.path(rpmdb + "-wal")); err != nil || info.Size() == 0 {
		t.Fatalf("nothing in the log: %v, %v", info, err)
	}
	if db.Stamp() == stamp {
		t.Error("a change in the log does not change the stamp")
	}
	s.expectRPM("in the log", s.ask(db, "/usr/bin/a"), core.RankPackaged, core.Trusted, "what package a")
	say("BEGIN; DELETE FROM Packages")
	s.expectRPM("not committed", s.ask(db, "/usr/bin/a"), core.RankPackaged, core.Trusted, "what package a")
	say("ROLLBACK; PRAGMA wal_checkpoint(TRUNCATE)")
	s.expectRPM("carried over", s.ask(db, "/usr/bin/a"), core.RankPackaged, core.Trusted, "what package a")
	in.Close()
	shell.Wait()
	s.rpm("-e", "a")
	s.write("/usr/bin/a", "anew")
	s.expectRPM("removed", s.ask(db, "/usr/bin/a"), core.RankPackaged, core.Trusted, "")
}

// A database that somebody is writing to says nothing for the moment.
func TestRPMIsNotAtRest(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.rpm("-i", s.build("a", map[string]string{"/usr/bin/a": "a"}, "", ""))
	s.expectRPM("at rest", s.ask(s.open(), "/usr/bin/a"), core.RankRecorded, core.Trusted, "what package a")
	s.write(rpmdb+"-journal", "a transaction that a crash has left")
	s.expectRPM("torn", s.ask(s.open(), "/usr/bin/a"), core.RankRecorded, core.Untrusted, "rpm is at work")
	s.remove(rpmdb + "-journal")
	looks := 0
	db := Open(Config{Root: s.root, Open: func(path string) (*os.File, error) {
		if strings.HasSuffix(path, "-wal") {
			looks++
			if err := os.Chtimes(s.path(rpmdb), time.Time{}, time.Unix(int64(looks), 0)); err != nil {
				t.Error(err)
			}
		}
		return os.Open(path)
	}})
	s.expectRPM("changes at every look", s.ask(db, "/usr/bin/a"), core.RankRecorded, core.Untrusted, "rpm is at work")
	if looks != 3 {
		t.Errorf("%d looks", looks)
	}
}

// Where a relocatable package was put is not signed.
func TestRelocatedFilesAreNotTheSignedOnes(t *testing.T) {
	t.Parallel()
	s, v := newSystem(t), newVendor(t, "ed25519")
	file := s.sign(v, s.build("moving", map[string]string{"/opt/moving/bin": "x"}, "Prefix: /opt/moving", ""))
	s.rpm("-i", "--relocate", "/opt/moving=/opt/elsewhere", file)
	if s.read("/opt/elsewhere/bin") != "x" {
		t.Fatal("not moved")
	}
	db := trusting(s, v.keyring(t))
	s.expectRPM("moved", s.ask(db, "/opt/elsewhere/bin"), core.RankPackaged, core.Trusted, "")
}

func TestDatabasesThatAreNotRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"/var/lib/rpm/Packages":              "Berkeley DB",
		"/usr/lib/sysimage/rpm/Packages.db":  "ndb",
		"/usr/lib/sysimage/rpm/rpmdb.sqlite": "",
		"/var/lib/rpm/something-else":        "",
	} {
		s := newSystem(t)
		s.write(name, "x")
		if got := s.open().Unread(); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	// The newer place counts, even with an older database beside it.
	s := newSystem(t)
	s.rpm("-i", s.build("a", map[string]string{"/usr/bin/a": "a"}, "", ""))
	s.write("/usr/lib/sysimage/rpm/rpmdb.sqlite", "not a database")
	s.expectRPM("two places", s.ask(s.open(), "/usr/bin/a"), core.RankRecorded, core.Untrusted, "rpm's database cannot be read")
	s.remove("/usr/lib/sysimage/rpm/rpmdb.sqlite")
	s.expectRPM("one place", s.ask(s.open(), "/usr/bin/a"), core.RankRecorded, core.Trusted, "what package a")
}

// blob reads a package's header by SQLite's own shell, and setBlob replaces it.
func (s *system) blob(number int) []byte {
	s.t.Helper()
	data, err := hex.DecodeString(strings.TrimSpace(s.run("sqlite3", s.path(rpmdb), fmt.Sprintf("SELECT hex(blob) FROM Packages WHERE hnum=%d", number))))
	if err != nil || len(data) == 0 {
		s.t.Fatalf("%d bytes, %v", len(data), err)
	}
	return data
}

func (s *system) setBlob(number int, blob []byte) {
	s.t.Helper()
	s.run("sqlite3", s.path(rpmdb), fmt.Sprintf("PRAGMA synchronous=OFF; UPDATE Packages SET blob=x'%x' WHERE hnum=%d", blob, number))
}

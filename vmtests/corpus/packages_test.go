//go:build linux

package corpus

import (
	"context"
	"crypto"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/trust/openpgp"
	"kpm/trust/packages"
)

// install is a system on which the package manager has installed one package.
func install(t *testing.T, argv ...string) (root string) {
	t.Helper()
	root = t.TempDir()
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], "ROOT", root)
	}
	tell(t, argv...)
	return root
}

func tell(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := run(t.Context(), "", argv...)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// recorded is what the databases below root say of the file at path there.
func recorded(t *testing.T, root, path string, keys *openpgp.Keyring) core.Evidence {
	t.Helper()
	db := packages.Open(packages.Config{Root: root, Keys: func() *openpgp.Keyring { return keys }})
	found := db.Evidence(t.Context(), path, func(_ context.Context, h crypto.Hash) ([]byte, error) {
		content, err := os.ReadFile(filepath.Join(root, path))
		hash := h.New()
		hash.Write(content)
		return hash.Sum(nil), err
	})
	if len(found) != 1 {
		t.Fatalf("%s: %+v", path, found)
	}
	return found[0]
}

func keyring(t *testing.T, armored string) *openpgp.Keyring {
	t.Helper()
	keys, err := openpgp.ReadKeyring(strings.NewReader(armored))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// regular are those of the paths that are regular files below root.
func regular(root, paths string) []string {
	var list []string
	for path := range strings.Lines(paths) {
		path = strings.TrimSpace(path)
		if info, err := os.Lstat(filepath.Join(root, path)); err == nil && info.Mode().IsRegular() {
			list = append(list, path)
		}
	}
	return list
}

type realRPM struct{ file, key, differs string }

func realRPMs() []realRPM {
	return []realRPM{
		{"centos-release-7-2.1511.el7.centos.2.10.x86_64.rpm", "RPM-GPG-KEY-CentOS-7", keyBySHA1},
		{"epel-release-7-5.noarch.rpm", "RPM-GPG-KEY-CentOS-7", keyBySHA1},
		{"centos-release-6-0.el6.centos.5.x86_64.rpm", "RPM-GPG-KEY-CentOS-6", keyExpired},
	}
}

// Packages of CentOS and EPEL, beside rpmkeys and rpm -V. The keys are those that
// come with them.
func TestRealRPMs(t *testing.T) {
	dir := fetch(t, rpmFiles) + "/github.com/cavaliergopher/rpm@v1.3.0/testdata/"
	for _, row := range realRPMs() {
		t.Run(row.file, func(t *testing.T) {
			root := install(t, "rpm", "--root", "ROOT", "--dbpath", "/var/lib/rpm", "--nodeps", "--noscripts", "--nosignature", "--ignorearch", "--ignoreos", "-i", dir+row.file)
			at := []string{"--root", root, "--dbpath", "/var/lib/rpm"}
			tell(t, append([]string{"rpmkeys", "--import", dir + row.key}, at...)...)
			if said := tell(t, append([]string{"rpmkeys", "-K", dir + row.file}, at...)...); !strings.Contains(said, "digests signatures OK") {
				t.Fatalf("rpmkeys: %s", said)
			}
			armored, err := os.ReadFile(dir + row.key)
			if err != nil {
				t.Fatal(err)
			}
			keys := keyring(t, string(armored))
			files := regular(root, tell(t, append([]string{"rpm", "-ql", name(t, dir+row.file)}, at...)...))
			if len(files) < 5 {
				t.Fatalf("%d files", len(files))
			}
			for _, path := range files {
				e := recorded(t, root, path, keys)
				if row.differs != "" && (e.Standing != core.Trusted || e.Rank != core.RankRecorded) {
					t.Errorf("%s: %+v", path, e)
				}
				if (e.Standing == core.Trusted && e.Rank == core.RankPackaged) != (row.differs == "") {
					t.Errorf("%s: %+v; docs/trust.md: %q", path, e, row.differs)
				}
			}
			// Whatever the key is worth, a changed file is not what was installed.
			changed := files[0]
			if err := os.WriteFile(filepath.Join(root, changed), []byte("changed"), 0o644); err != nil {
				t.Fatal(err)
			}
			e := recorded(t, root, changed, keys)
			out, _ := exec.CommandContext(t.Context(), "rpm", append([]string{"-V", "--nodeps", name(t, dir+row.file)}, at...)...).Output()
			if !strings.Contains(string(out), changed) || e.Standing == core.Trusted {
				t.Errorf("%s: %+v; rpm -V: %s", changed, e, out)
			}
		})
	}
}

func name(t *testing.T, file string) string {
	return tell(t, "rpm", "-qp", "--nosignature", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}", file)
}

// The database of a Fedora 35 image, with all of its packages' signed headers and
// the key that it was installed with. Its files are not there: rpm's own reading
// of their digests stands for them.
func TestARealRPMDatabase(t *testing.T) {
	root := t.TempDir()
	database, err := os.ReadFile(fetch(t, rpmBases) + "/github.com/knqyf263/go-rpmdb@v0.1.1/pkg/testdata/fedora35/rpmdb.sqlite")
	if err == nil {
		err = os.MkdirAll(filepath.Join(root, "var/lib/rpm"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "var/lib/rpm/rpmdb.sqlite"), database, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	at := []string{"--dbpath", filepath.Join(root, "var/lib/rpm")}
	keys := keyring(t, tell(t, append([]string{"rpm", "-q", "gpg-pubkey", "--qf", "%{DESCRIPTION}"}, at...)...))
	signed := tell(t, append([]string{"rpm", "-qa", "--qf", "%{NAME} %{RSAHEADER:pgpsig}\n"}, at...)...)
	db := packages.Open(packages.Config{Root: root, Keys: func() *openpgp.Keyring { return keys }})
	asked := map[string]bool{}
	for line := range strings.Lines(tell(t, append([]string{"rpm", "-qa", "--qf", "[%{=NAME} %{FILEDIGESTS} %{FILEFLAGS} %{FILESTATES} %{FILENAMES}\n]"}, at...)...)) {
		of := strings.SplitN(strings.TrimSpace(line), " ", 5)
		// One file of each package, but for links, configuration and what was left out.
		if len(of) != 5 || of[1] == "" || of[2] != "0" || of[3] != "0" || asked[of[0]] {
			continue
		}
		asked[of[0]] = true
		if !strings.Contains(signed, of[0]+" RSA/SHA256, ") {
			t.Fatalf("%s is not signed, says rpm", of[0])
		}
		digest, err := hex.DecodeString(of[1])
		if err != nil {
			t.Fatal(err)
		}
		for i, standing := range []core.Standing{core.Trusted, core.Broken} {
			digest[0] ^= byte(i)
			e := db.Evidence(t.Context(), of[4], func(context.Context, crypto.Hash) ([]byte, error) { return digest, nil })
			if len(e) != 1 || e[0].Standing != standing || e[0].Rank != core.RankPackaged {
				t.Errorf("%s of %s: %+v", of[4], of[0], e)
			}
		}
	}
	if len(asked) < 100 {
		t.Errorf("%d packages", len(asked))
	}
}

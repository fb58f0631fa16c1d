//go:build linux

package packages

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestLintianIsContent(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "lintian", "--allow-root", "--fail-on", "error,warning", file(t, ".deb")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The rpm is installed nowhere here: its files are those of the deb.
func TestRPMHoldsWhatTheDebHolds(t *testing.T) {
	dir := t.TempDir()
	host(t, "dpkg-deb", "-x", file(t, ".deb"), dir)
	for path := range strings.Lines(host(t, "rpm", "-qpl", file(t, ".rpm"))) {
		path = strings.TrimSpace(path)
		if _, err := os.Lstat(filepath.Join(dir, path)); err != nil {
			t.Errorf("the deb lacks %s", path)
		}
	}
	listed := host(t, "rpm", "-qpl", file(t, ".rpm"))
	for _, path := range []string{root + "/KeeperPrivilegeManager", root + "/keepersudo", "/usr/bin/keepersudo", "/usr/lib/systemd/system/" + service,
		root + "/sbom.cdx.json", root + "/keeperpam", "/usr/lib/pam.d/kpm", "/usr/share/man/man1/keepersudo.1.gz", "/usr/share/man/man5/kpm-policy.5.gz", "/usr/share/man/man5/kpm-settings.5.gz"} {
		if !strings.Contains(listed, path+"\n") {
			t.Errorf("the rpm lacks %s", path)
		}
	}
	if scripts := host(t, "rpm", "-qp", "--scripts", file(t, ".rpm")); !strings.Contains(scripts, "systemctl restart") {
		t.Errorf("scripts: %s", scripts)
	}
	if conf := host(t, "rpm", "-qpc", file(t, ".rpm")); !strings.Contains(conf, "Policies/first-steps.json") {
		t.Errorf("files that are kept: %s", conf)
	}
}

// Editors find the schemas where docs/plugins-and-jobs.md has them look, and in them
// what the loaders read.
func TestSchemasAreInstalled(t *testing.T) {
	page, err := os.ReadFile("../../docs/plugins-and-jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	host(t, "dpkg-deb", "-x", file(t, ".deb"), dir)
	urls := regexp.MustCompile(`"file://(/[^"]+)"`).FindAllStringSubmatch(string(page), -1)
	if len(urls) < 5 {
		t.Errorf("the page names %d", len(urls))
	}
	for _, url := range urls {
		installed, err := os.ReadFile(filepath.Join(dir, url[1]))
		if err != nil {
			t.Error(err)
			continue
		}
		source, err := os.ReadFile(filepath.Join("../../docs/schemas", filepath.Base(url[1])))
		if errors.Is(err, fs.ErrNotExist) {
			source, err = os.ReadFile(filepath.Join("../../docs/policies", filepath.Base(url[1])))
		}
		if err != nil || !bytes.Equal(installed, source) {
			t.Errorf("%s is another one: %v", url[1], err)
		}
	}
}

// Every program that is installed has a manual page, and those on the PATH have their
// words completed.
func TestEveryProgramHasAManualPage(t *testing.T) {
	dir := t.TempDir()
	host(t, "dpkg-deb", "-x", file(t, ".deb"), dir)
	found := 0
	err := filepath.WalkDir(filepath.Join(dir, root), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode()&0o111 == 0 {
			return err
		}
		found++
		pages, err := filepath.Glob(filepath.Join(dir, "usr/share/man/man[18]", d.Name()+".[18].gz"))
		if len(pages) != 1 {
			t.Errorf("%s has the pages %q", path, pages)
		}
		return err
	})
	if err != nil || found < 10 {
		t.Errorf("%d programs, %v", found, err)
	}
	for _, name := range []string{"keepersudo", "KeeperAdminCLI", "keeperAgent"} {
		for _, path := range []string{"bash-completion/completions/" + name, "zsh/vendor-completions/_" + name, "fish/vendor_completions.d/" + name + ".fish"} {
			if text, err := os.ReadFile(filepath.Join(dir, "usr/share", path)); err != nil || !bytes.Contains(text, []byte(name)) {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

func TestBillOfMaterials(t *testing.T) {
	dir := t.TempDir()
	host(t, "dpkg-deb", "-x", file(t, ".deb"), dir)
	data, err := os.ReadFile(filepath.Join(dir, root, "sbom.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var bill struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(data, &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("%v, %+v", err, bill)
	}
	found := map[string]string{}
	for _, c := range bill.Components {
		found[c.Name] = c.Version
	}
	for _, name := range []string{"github.com/mochi-mqtt/server/v2", "golang.org/x/sys", "std"} {
		if found[name] == "" {
			t.Errorf("%s is not in it: %v", name, found)
		}
	}
}

func TestMSI(t *testing.T) {
	msi := file(t, ".msi")
	const removed = "\tREMOVE=\"ALL\" AND NOT UPGRADINGPRODUCTCODE\t"
	for _, c := range [][2]string{
		{"ServiceInstall", "KeeperPrivilegeManager\tKeeper Privilege Manager"}, {"File", "job.schema.json"},
		{"CustomAction", "rights give-back"}, {"InstallExecuteSequence", "GiveRightsBack" + removed + "1950"},
		{"CustomAction", "interception disable uac"}, {"InstallExecuteSequence", "GiveUACBack" + removed + "1951"},
		{"ServiceControl", "KeeperPrivilegeManager"}, {"Environment", "=-*PATH"}, {"Upgrade", "{5B1D7B0E"},
		{"Registry", `Software\Classes\lnkfile\shell\RunWithKeeper\command` + "\t\t" + `"[INSTALLDIR]KeeperRunAs.exe" "%1" %*`},
	} {
		table, want := c[0], c[1]
		if out := host(t, "msiinfo", "export", msi, table); !strings.Contains(out, want) {
			t.Errorf("%s lacks %q: %s", table, want, out)
		}
	}
}

// Whoever has the key's other half can check what they downloaded.
func TestSums(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "sha256sum", "-c", "SHA256SUMS")
	cmd.Dir = built
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 5 {
		t.Errorf("%v\n%s", err, out)
	}
}

//go:build linux

package wine

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	programFiles = `C:\Program Files\KeeperPrivilegeManager`
	uninstall    = `HKLM\Software\Microsoft\Windows\CurrentVersion\Uninstall`
	registered   = `HKLM\System\CurrentControlSet\Services\KeeperPrivilegeManager`
	environ      = `HKLM\System\CurrentControlSet\Control\Session Manager\Environment`
	uac          = `HKLM\Software\Microsoft\Windows\CurrentVersion\Policies\System`
	uacUsers     = "ConsentPromptBehaviorUser"
	kept         = `HKLM\Software\KeeperPrivilegeManager`
)

// msi builds the package into dir.
func msi(t *testing.T, dir string) string {
	t.Helper()
	out := filepath.Join(dir, "packages")
	host(t, "make", "-C", "../..", "--no-print-directory", "packages", "VERSION=1.0.0", "ONLY=windows-amd64", "PACKAGES="+out)
	found, err := filepath.Glob(out + "/*.msi")
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	name := filepath.Join(dir, "1.0.0.msi")
	if err := os.Rename(found[0], name); err != nil {
		t.Fatal(err)
	}
	// All that it does with the service but to start it, which would be undone with
	// everything else: see TestMSIUnderWine.
	if table := host(t, "msiinfo", "export", name, "ServiceControl"); !strings.Contains(table, "\t163\t") {
		t.Fatalf("ServiceControl: %s", table)
	}
	host(t, "msibuild", name, "-q", "UPDATE `ServiceControl` SET `Event` = 162 WHERE `Event` = 163")
	return name
}

func host(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}

// newer makes of a package one of another version: what makes an upgrade is in its
// properties, and its files are the same.
func newer(t *testing.T, msi, version, product string) {
	t.Helper()
	data, err := os.ReadFile(msi)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(filepath.Dir(msi), version+".msi")
	if err := os.WriteFile(other, data, 0o644); err != nil {
		t.Fatal(err)
	}
	host(t, "msibuild", other, "-q", "UPDATE `Property` SET `Value` = '"+version+"' WHERE `Property` = 'ProductVersion'")
	host(t, "msibuild", other, "-q", "UPDATE `Property` SET `Value` = '{"+product+"}' WHERE `Property` = 'ProductCode'")
	host(t, "msibuild", other, "-s", "Keeper Privilege Manager", "kpm", "x64;1033", "{"+product[:35]+"F}")
	// The Upgrade table names the version that is installed itself, and those before.
	table := host(t, "msiinfo", "export", other, "Upgrade")
	if !strings.Contains(table, "1.0.0") {
		t.Fatalf("Upgrade: %s", table)
	}
	file := filepath.Join(t.TempDir(), "Upgrade.idt")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(table, "1.0.0", version)), 0o644); err != nil {
		t.Fatal(err)
	}
	host(t, "msibuild", other, "-i", file)
}

// The package is installed, upgraded and removed by Wine's own installer. The
// service of it does not run there: Wine gives its one user every right, and so the
// folder is anybody's to a service that was not built for Wine.
func TestMSIUnderWine(t *testing.T) {
	dir := t.TempDir()
	first := msi(t, dir)
	newer(t, first, "1.1.0", "11111111-2222-4333-8444-555555555555")
	a := &agent{Machine: windows(t, dir), t: t, ctx: t.Context()}
	a.root = filepath.Join(a.Machine.root, prefix, "drive_c/Program Files/KeeperPrivilegeManager")

	installs := func(version string) {
		t.Helper()
		a.must(system+"msiexec.exe", "/i", `Z:\here\`+version+".msi", "/qn")
		for _, path := range []string{"KeeperPrivilegeManager.exe", "KeeperAdminCLI.exe", "keepersudo.exe", "keeperlaunch.exe", "keeperreader.exe", "sbom.cdx.json", "share/schemas/job.schema.json",
			"Plugins/bin/KeeperPolicy/KeeperPolicy.exe", "Plugins/bin/KeeperLogger/KeeperLogger.exe", "Jobs/bin/RedirectEvaluator/RedirectEvaluator.exe"} {
			if info, err := os.Stat(filepath.Join(a.root, path)); err != nil || info.Size() == 0 {
				t.Errorf("%s: %v", path, err)
			}
		}
		a.must(system+"sc.exe", "query", "KeeperPrivilegeManager")
		if out := a.must(system+"reg.exe", "query", registered); !strings.Contains(out, programFiles+`\KeeperPrivilegeManager.exe`) || !strings.Contains(out, "0x2") { // SERVICE_AUTO_START
			t.Errorf("the service: %s", out)
		}
		if out := a.must(system+"reg.exe", "query", environ, "/v", "PATH"); !strings.Contains(out, "KeeperPrivilegeManager") {
			t.Errorf("PATH: %s", out)
		}
		if got := a.versions(); !slices.Equal(got, []string{version}) {
			t.Errorf("installed are %q, expected %s alone", got, version)
		}
		if out := a.must(programFiles+`\KeeperAdminCLI.exe`, "--version"); !strings.Contains(out, "1.0.0") {
			t.Errorf("KeeperAdminCLI says %s", out)
		}
	}
	installs("1.0.0")
	// What an administrator and the service have written is theirs.
	written := map[string]string{"Policies/mine.json": "[]", "appsettings.json": "{}", "Audit/journal-00000000000000000001.jsonl": "x", "State/format": "y"}
	for path, text := range written {
		a.folder(filepath.Dir(filepath.Join(a.root, path)), 0o755)
		if err := os.WriteFile(filepath.Join(a.root, path), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	installs("1.1.0")
	if status, _ := a.run(system+"msiexec.exe", "/i", `Z:\here\1.0.0.msi`, "/qn"); status == 0 {
		t.Error("an older version is installed over a newer one")
	}
	if got := a.versions(); !slices.Equal(got, []string{"1.1.0"}) {
		t.Errorf("after that installed are %q", got)
	}
	// What KeeperAdminCLI interception enable uac leaves, which a build that is not for
	// Wine refuses there. That an upgrade leaves it alone Wine cannot show.
	for key, value := range map[string]string{uac: "0", kept + `\Interception`: "1"} {
		a.must(system+"reg.exe", "add", key, "/v", uacUsers, "/t", "REG_DWORD", "/d", value, "/f")
	}
	a.must(system+"msiexec.exe", "/x", `Z:\here\1.1.0.msi`, "/qn")
	if status, out := a.run(system+"sc.exe", "query", "KeeperPrivilegeManager"); status == 0 {
		t.Errorf("the service is still there: %s", out)
	}
	if out := a.must(system+"reg.exe", "query", environ, "/v", "PATH"); strings.Contains(out, "KeeperPrivilegeManager") {
		t.Errorf("still on the PATH: %s", out)
	}
	if out := a.must(system+"reg.exe", "query", uac, "/v", uacUsers); !strings.Contains(out, "0x1") {
		t.Errorf("the policy of User Account Control is not what it was: %s", out)
	}
	if status, out := a.run(system+"reg.exe", "query", kept); status == 0 {
		t.Errorf("left behind in the registry: %s", out)
	}
	for path, text := range written {
		if data, err := os.ReadFile(filepath.Join(a.root, path)); err != nil || string(data) != text {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	err := filepath.WalkDir(a.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && written[filepath.ToSlash(strings.TrimPrefix(path, a.root+"/"))] == "" {
			t.Error("left behind:", path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// versions are those of this product that Windows lists as installed.
func (a *agent) versions() []string {
	a.t.Helper()
	var list []string
	_, out := a.run(system+"reg.exe", "query", uninstall, "/s")
	name := false
	version := ""
	for line := range strings.Lines(strings.ReplaceAll(out, "\r", "")) {
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "HKEY_"):
			name, version = false, ""
		case len(words) > 2 && words[0] == "DisplayName":
			name = strings.Contains(line, "Keeper Privilege Manager")
		case len(words) > 2 && words[0] == "DisplayVersion":
			version = words[2]
		}
		if name && version != "" {
			list = append(list, version)
			name, version = false, ""
		}
	}
	slices.Sort(list)
	return list
}

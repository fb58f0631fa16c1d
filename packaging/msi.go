package main

import (
	"context"
	"crypto/sha256"
	"encoding/xml"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// upgradeCode is the product's for ever: by it an MSI finds what it replaces.
const upgradeCode = "5B1D7B0E-6F0C-5C0B-9A43-4B7B0F2D8E11"

// id is a UUID that depends on nothing but its parts (RFC 9562, section 5.8).
func id(parts ...string) string {
	sum := sha256.Sum256([]byte(upgradeCode + "\x00" + strings.Join(parts, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80
	return strings.ToUpper(fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16]))
}

// msi builds the package for Windows (wixl, of GNOME's msitools). The service sets
// its own recovery when it starts: wixl has no element for it.
func (r *release) msi(ctx context.Context, root string) error {
	source, err := r.wix(root)
	if err != nil {
		return err
	}
	dir := filepath.Join(r.work, "windows-amd64")
	path, made := filepath.Join(dir, "package.wxs"), filepath.Join(r.out, r.name(target{"windows", "amd64"})+".msi")
	if err := os.WriteFile(path, []byte(source), 0o644); err != nil {
		return err
	}
	// wixl writes the time of the build into the file; it is told that of the commit.
	still := []string{"faketime", "-f", r.date.Format("2006-01-02 15:04:05")}
	if err := r.command(ctx, nil, append(still, "wixl", "--arch", "x64", "--output", made, path)...); err != nil {
		return err
	}
	for _, query := range slices.Concat(pathQueries, rightsQueries, uacQueries) {
		if err := r.command(ctx, nil, append(still, "msibuild", made, "-q", query)...); err != nil {
			return err
		}
	}
	return r.command(ctx, nil, append(still, "msibuild", made, "-s", "Keeper Privilege Manager", "kpm", "x64;1033", "{"+id("package", r.version)+"}")...)
}

// pathQueries put the folder on the machine's PATH, for which wixl has no element
// (Windows Installer, "Environment Table", "WriteEnvironmentStrings Action").
var pathQueries = []string{
	"CREATE TABLE `Environment` (`Environment` CHAR(72) NOT NULL, `Name` CHAR(255) NOT NULL LOCALIZABLE, `Value` CHAR(255) LOCALIZABLE, `Component_` CHAR(72) NOT NULL PRIMARY KEY `Environment`)",
	"INSERT INTO `Environment` (`Environment`, `Name`, `Value`, `Component_`) VALUES ('Path', '=-*PATH', '[~];[INSTALLDIR]', '" + key("C", "KeeperAdminCLI.exe") + "')",
	"INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('WriteEnvironmentStrings', 5200)",
	"INSERT INTO `InstallExecuteSequence` (`Action`, `Sequence`) VALUES ('RemoveEnvironmentStrings', 3300)",
}

// rightsQueries have the agent give back what it has taken of people's rights, and end
// what it has given, when it is removed and not replaced: after its service has stopped
// and before its files go. 3154 is a program that is installed (18), run by the
// installer's service as the system (1024, 2048), whose exit status stops nothing (64):
// "Custom Action Type 18", "Custom Action In-Script Execution Options".
var rightsQueries = []string{
	"INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('GiveRightsBack', 3154, '" + key("F", "KeeperPrivilegeManager.exe") + "', 'rights give-back')",
	"INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('GiveRightsBack', 'REMOVE=\"ALL\" AND NOT UPGRADINGPRODUCTCODE', 1950)",
}

// uacQueries have User Account Control ask people again as it did before
// "KeeperAdminCLI interception enable uac": without the agent nobody else would. It is
// done as and when rights are given back, and needs nothing of what that needs.
var uacQueries = []string{
	"INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES ('GiveUACBack', 3154, '" + key("F", "KeeperAdminCLI.exe") + "', 'interception disable uac')",
	"INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES ('GiveUACBack', 'REMOVE=\"ALL\" AND NOT UPGRADINGPRODUCTCODE', 1951)",
}

// wix describes the package: one component for each file, as the installer
// wants it, and the service.
func (r *release) wix(root string) (string, error) {
	var b, refs strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="%s" UpgradeCode="%s" Version="%s" Language="1033" Name="Keeper Privilege Manager" Manufacturer="kpm">
<Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine"/>
<MajorUpgrade DowngradeErrorMessage="A newer version is installed. Remove it first: journal, settings and policies stay."/>
<Media Id="1" Cabinet="agent.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFiles64Folder" Name="PFiles">
`, id("product", r.version), upgradeCode, r.version)
	if err := folder(&b, &refs, root, root, "KeeperPrivilegeManager"); err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "</Directory></Directory>\n<Feature Id=\"Agent\" Level=\"1\">\n%s</Feature>\n</Product>\n</Wix>\n", refs.String())
	return b.String(), nil
}

// folder writes a directory with its files and those below it, in order.
func folder(b, refs *strings.Builder, root, dir, name string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return err
	}
	place := key("D", rel)
	if rel == "." {
		place = "INSTALLDIR"
	}
	fmt.Fprintf(b, "<Directory Id=%q Name=%q>\n", place, escaped(name))
	slices.SortFunc(entries, func(a, c fs.DirEntry) int { return strings.Compare(a.Name(), c.Name()) })
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			if err := folder(b, refs, root, path, e.Name()); err != nil {
				return err
			}
			continue
		}
		file := filepath.Join(rel, e.Name())
		fmt.Fprintf(b, "<Component Id=%q Guid=%q Win64=\"yes\"><File Id=%q Source=%q Name=%q KeyPath=\"yes\"/>%s</Component>\n",
			key("C", file), id("component", file), key("F", file), escaped(filepath.Join("root", file)), escaped(e.Name()), besides(file))
		fmt.Fprintf(refs, "<ComponentRef Id=%q/>\n", key("C", file))
	}
	b.WriteString("</Directory>\n")
	return nil
}

// verbFor are the kinds of files that Explorer offers "Run with Keeper" for.
var verbFor = []string{"exefile", "Msi.Package", "mscfile", "lnkfile"}

// verb is Explorer's entry for one kind of file: the installer writes it, and takes it
// away with the component (learn.microsoft.com, "Creating Shortcut Menu Handlers").
func verb(class string) string {
	key := `Software\Classes\` + class + `\shell\RunWithKeeper`
	return fmt.Sprintf(`<RegistryValue Root="HKLM" Key="%s" Value="Run with Keeper" Type="string"/>`+
		`<RegistryValue Root="HKLM" Key="%s\command" Value="%s" Type="string"/>`,
		key, key, escaped(`"[INSTALLDIR]KeeperRunAs.exe" "%1" %*`))
}

// besides is what the component of a program does besides.
func besides(file string) string {
	if file == "KeeperRunAs.exe" {
		var b strings.Builder
		for _, class := range verbFor {
			b.WriteString(verb(class))
		}
		return b.String()
	}
	if file == "KeeperPrivilegeManager.exe" {
		return `<ServiceInstall Id="Service" Name="KeeperPrivilegeManager" DisplayName="Keeper Privilege Manager" Description="Lets people do the few privileged things that policy grants them." Type="ownProcess" Start="auto" ErrorControl="normal" Arguments="service"/>` +
			`<ServiceControl Id="Control" Name="KeeperPrivilegeManager" Start="install" Stop="both" Remove="uninstall" Wait="yes"/>`
	}
	return ""
}

// key is an identifier that the installer takes: letters, digits, at most 72.
func key(kind, path string) string { return kind + strings.ReplaceAll(id(kind, path), "-", "") }

func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

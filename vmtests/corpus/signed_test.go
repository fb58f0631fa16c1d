//go:build linux

package corpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
)

func fetch(t *testing.T, p Package) string {
	t.Helper()
	dir, err := p.Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Files of Debian's packages as dpkg has installed them, beside dpkg --verify.
func TestRealDebianPackages(t *testing.T) {
	deb := fetch(t, relicSrc) + "/github.com/sassoftware/relic/v7@v7.6.2/functest/packages/zlib1g_1.2.8.dfsg-5_i386.deb"
	root, tree := t.TempDir(), filepath.Join(t.TempDir(), "tree")
	tell(t, "dpkg-deb", "--raw-extract", deb, tree)
	for _, script := range []string{"preinst", "postinst", "prerm", "postrm", "triggers"} { // nothing of a stranger's runs
		if err := os.RemoveAll(filepath.Join(tree, "DEBIAN", script)); err != nil {
			t.Fatal(err)
		}
	}
	without := filepath.Join(t.TempDir(), "zlib1g.deb")
	tell(t, "dpkg-deb", "--build", tree, without)
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	tell(t, "dpkg", "--root="+root, "--force-architecture", "--force-depends", "--force-not-root", "--force-unsafe-io", "--install", without)
	files := regular(root, tell(t, "dpkg", "--root="+root, "-L", "zlib1g"))
	if len(files) < 3 {
		t.Fatalf("%d files", len(files))
	}
	for _, path := range files {
		if e := recorded(t, root, path, nil); e.Standing != core.Trusted || e.Rank != core.RankRecorded {
			t.Errorf("%s: %+v", path, e)
		}
	}
	if said := tell(t, "dpkg", "--root="+root, "--verify", "zlib1g"); said != "" {
		t.Errorf("dpkg: %s", said)
	}
	library := files[0]
	if err := os.WriteFile(filepath.Join(root, library), []byte("changed"), 0o644); err != nil {
		t.Fatal(err)
	}
	e := recorded(t, root, library, nil)
	if said := tell(t, "dpkg", "--root="+root, "--verify", "zlib1g"); !strings.Contains(said, library) || e.Standing != core.Broken {
		t.Errorf("%s: %+v; dpkg: %s", library, e, said)
	}
}

// Signatures over the digests of HashiCorp's releases, by the key with which their
// installer's tests sign, beside gpg.
func TestRealOpenPGPSignatures(t *testing.T) {
	const module = "/github.com/hashicorp/hc-install@v0.9.2/"
	dir := fetch(t, sums) + module
	key, err := os.ReadFile(dir + "releases/testdata/2FCA0A85.pub")
	if err != nil {
		t.Fatal(err)
	}
	a := newInspector(t)
	for name, text := range map[string]string{"keys.asc": string(key), "appsettings.json": `{"Trust": {"OpenPgpKeys": ["keys.asc"]}}`} {
		if err := a.agent.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	home := t.TempDir()
	tell(t, "gpg", "--homedir", home, "--batch", "--quiet", "--import", filepath.Join(a.agent.Root, "keys.asc"))
	builds := dir + "releases/testdata/mock_terraform_builds/"
	for _, name := range []string{"0.14.11/terraform_0.14.11_SHA256SUMS", "0.15.0-rc2/terraform_0.15.0-rc2_SHA256SUMS"} {
		said := tell(t, "gpg", "--homedir", home, "--batch", "--status-fd", "1", "--verify", builds+name+".sig", builds+name)
		v := a.inspect(t, builds+name)[0]
		if len(v.Evidence) != 1 || v.Rank != "signed" {
			t.Fatalf("%s: %+v", name, v)
		}
		if primary := strings.ToUpper(v.Evidence[0].KeyID); !strings.Contains(said, "GOODSIG") || !strings.Contains(said, " "+primary+"\n") {
			t.Errorf("%s: we: key %s; gpg: %s", name, primary, said)
		}
	}
}

// What a real catalog lists is signed, beside osslsigncode -catalog; what is
// changed is not listed any more.
func TestRealCatalogs(t *testing.T) {
	dir := fetch(t, editor) + "/package/PowerShellEditorServices/PSReadLine/2.0.2/"
	a := newInspector(t)
	content, err := os.ReadFile(dir + "PSReadLine.cat")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"list.cat":         string(content),
		"appsettings.json": `{"Trust": {"Roots": ["anchors.pem"], "TimeStampRoots": ["anchors.pem"], "Catalogs": ["list.cat"]}}`,
	} {
		if err := a.agent.Write(name, text); err != nil {
			t.Fatal(err)
		}
	}
	shared := published(t, map[string]string{"anchors.pem": explicitly(t, anchorsPEM(t, "Microsoft"))})
	listed := 0
	for _, name := range []string{"SamplePSReadLineProfile.ps1", "PSReadLine.psm1", "PSReadLine.psd1", "PSReadLine.format.ps1xml", "Microsoft.PowerShell.PSReadLine2.dll", "PSGetModuleInfo.xml"} {
		for _, v := range a.inspect(t, dir+name) {
			ours := 0
			for _, e := range v.Evidence {
				if e.Kind == "catalog" && e.Standing == trusted {
					ours++
				}
			}
			said := peer(t, "osslsigncode", "verify", "-ignore-cdp", "-ignore-crl", "-CAfile", filepath.Join(shared, "anchors.pem"),
				"-TSA-CAfile", filepath.Join(shared, "anchors.pem"), "-catalog", dir+"PSReadLine.cat", "-in", dir+name)
			if theirs := strings.Contains(said, "\nSucceeded"); theirs != (ours == 1) {
				t.Errorf("%s: %+v\nosslsigncode: %s", name, v, said)
			}
			listed += ours
		}
	}
	t.Logf("%d listed", listed)
}

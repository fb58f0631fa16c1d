//go:build linux

package wine

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/trust/trusttest"
)

// signedTools lets everybody run what a trusted publisher has signed.
const signedTools = `{
  "PolicyId": "signed", "PolicyName": "Signed tools", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["C:\\Signed\\*"],
  "CertificationCheck": ["*"]
}`

// Signatures of programs decide on Windows as they do on Linux: they are read by
// keeperreader.exe. What Windows says itself under Wine, which trusts everybody,
// does not let a stranger's program in.
func TestSignaturesDecideOnWindows(t *testing.T) {
	a, pki := install(t), trusttest.New(t)
	drive := filepath.Dir(a.root)
	a.write("KPM/ca.pem", string(trusttest.PEM(pki.Get(trusttest.Root).Certificate)), 0o644)
	a.write("KPM/appsettings.json", `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0}, "Trust": {"Roots": ["ca.pem"]}}`, 0o644)
	a.write("KPM/Policies/signed.json", signedTools, 0o644)
	a.folder(filepath.Join(drive, "Signed"), 0o777)
	unsigned := filepath.Join(drive, "Tools", "tool.exe")
	sign := func(as string) []byte {
		signer, out := pki.Get(as).Files(t), filepath.Join(t.TempDir(), "out.exe")
		cmd := exec.Command("osslsigncode", "sign", "-certs", signer.Chain, "-key", signer.Key, "-h", "sha256", "-in", unsigned, "-out", out)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("osslsigncode: %v\n%s", err, text)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	plain, err := os.ReadFile(unsigned)
	if err != nil {
		t.Fatal(err)
	}
	good := sign(trusttest.Good)
	changed := bytes.Clone(good)
	changed[0x50] ^= 1 // of the text that MS-DOS would print
	for name, data := range map[string][]byte{"good.exe": good, "stranger.exe": sign(trusttest.Stranger), "unsigned.exe": plain, "changed.exe": changed} {
		a.write("Signed/"+name, string(data), 0o777)
	}
	a.must(inside+`\KeeperPrivilegeManager.exe`, "install", "--root", inside)
	a.boot()
	for name, want := range map[string]int{"good.exe": 6, "stranger.exe": 1, "unsigned.exe": 1, "changed.exe": 1} {
		status, _, said := a.sudo(nil, `C:\Signed\`+name, "6")
		if status != want {
			t.Errorf("%s: exit code %d, expected %d; %s", name, status, want, said)
		}
	}
	out := a.must(inside+`\KeeperAdminCLI.exe`, "--root", inside, "trust", "inspect", `C:\Signed\good.exe`)
	if !strings.Contains(out, "authenticode: TRUSTED") {
		t.Errorf("trust inspect: %s", out)
	}
	a.verify()
}

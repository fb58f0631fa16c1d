package admincli

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/platform"
	"kpm/trust/identity"
	"kpm/trust/tpm"
)

// Every command that reads appsettings.json says where in it the fault is, and
// does nothing.
func TestSettingsThatCannotBeUsed(t *testing.T) {
	for text, says := range map[string]string{
		"{\n\"Settings\": {\"KeyStore\": \"gold\"}}": `:2: Settings:KeyStore is "gold", expected auto, tpm, software`,
		"{\"Settings\": \x1b}":                       `:1: the file is not JSON (invalid character '\x1b' looking for beginning of value), expected a JSON object`,
	} {
		root := t.TempDir()
		file := filepath.Join(root, "appsettings.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"trust status", "trust status --json", "trust rotate", "trust enroll --csr -", "trust inspect /bin/sh"} {
			code, out, diag := do(t, append(strings.Fields(line), "--root", root)...)
			if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+file+says+"\n" {
				t.Errorf("%s: %d %q %q", line, code, out, diag)
			}
		}
		if _, err := os.Stat(filepath.Join(root, "State")); err == nil {
			t.Errorf("%s made a key", text)
		}
	}
}

func TestRotateAsJSON(t *testing.T) {
	root := enrolled(t, "software", "")
	var ids []string
	for range 2 {
		var s identity.Status // the whole output: what else rotate says is for people
		if err := json.Unmarshal([]byte(tell(t, exitOK, "trust", "rotate", "--json", "--root", root)), &s); err != nil {
			t.Fatal(err)
		}
		if s.State != identity.Ready || len(s.Retired) != len(ids) || len(ids) > 0 && s.Retired[0] != ids[0] {
			t.Errorf("%+v after %q", s, ids)
		}
		ids = append(ids, s.KeyID)
	}
	if ids[0] == ids[1] || keyStatus(t, exitOK, root).KeyID != ids[1] {
		t.Errorf("keys %q", ids)
	}
}

// A machine can be enrolled before the service's first start, and what it writes
// for the backend is no secret.
func TestRequestOfANewMachine(t *testing.T) {
	root := enrolled(t, "software", "")
	t.Chdir(t.TempDir())
	if out := tell(t, exitOK, "trust", "enroll", "--csr", "machine.csr", "--root", root); out != "" {
		t.Errorf("says %q", out)
	}
	data, err := os.ReadFile("machine.csr")
	if err != nil {
		t.Fatal(err)
	}
	if block, rest := pem.Decode(data); block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		t.Errorf("%s", data)
	}
	for path, mode := range map[string]os.FileMode{"machine.csr": 0o644, filepath.Join(root, "State"): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, mode)
		}
	}
	if s := keyStatus(t, exitOK, root); s.State != identity.Ready {
		t.Errorf("%+v", s)
	}
}

// Each step names the file or the option that it cannot do anything with, and
// leaves the key as it was.
func TestStepsOfEnrollThatFail(t *testing.T) {
	root, dir := enrolled(t, "software", ""), t.TempDir()
	tell(t, exitOK, "trust", "rotate", "--root", root)
	before := keyStatus(t, exitOK, root)
	junk, most, large, none := filepath.Join(dir, "junk"), filepath.Join(dir, "most"), filepath.Join(dir, "big"), filepath.Join(dir, "none")
	for path, data := range map[string][]byte{junk: []byte("junk"), most: make([]byte, maxInput), large: make([]byte, maxInput+1)} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nonce := strings.Repeat("0", 32)
	for _, c := range []struct{ line, says string }{
		{"--csr " + none + "/x", "files: write " + none + "/x: open " + none + ": no such file or directory"},
		{"--attestation - --nonce 0x00", `--nonce is "0x00", expected hex`},
		{"--attestation - --nonce 000", `--nonce is "000", expected hex`},
		{"--attestation " + none + " --nonce " + nonce, "identity: attest: the machine key is in a file, and no TPM can attest to it: no TPM 2.0"},
		{"--activate " + none, "open " + none + ": no such file or directory"},
		{"--activate " + dir, "read " + dir + ": is a directory"},
		{"--activate " + large, large + " is larger than 1048576 bytes"},
		{"--activate " + most, most + ": identity: activate: the machine key is in a file: no TPM 2.0"},
		{"--csr " + none + " --nonce " + nonce, "if any flags in the group [attestation nonce] are set they must all be set; missing [attestation]"},
		{"--attestation " + none, "if any flags in the group [attestation nonce] are set they must all be set; missing [nonce]"},
		{"--activate " + junk, junk + ": identity: activate: the machine key is in a file: no TPM 2.0"},
		{"--certificate " + none, "open " + none + ": no such file or directory"},
		{"--certificate " + large, large + " is larger than 1048576 bytes"},
		{"--certificate " + junk, junk + ": identity: certificate: no PEM certificate was found"},
	} {
		code, out, diag := do(t, append(strings.Fields("trust enroll --root "+root), strings.Fields(c.line)...)...)
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+c.says+"\n" {
			t.Errorf("%s: %d %q %q", c.line, code, out, diag)
		}
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("an attestation was written all the same")
	}
	if after := keyStatus(t, exitOK, root); after.KeyID != before.KeyID || after.Certificate.Issued {
		t.Errorf("%+v, was %+v", after, before)
	}
}

// A key that cannot be used stops what needs it, and the message says how to go
// on.
func TestADamagedKey(t *testing.T) {
	root := enrolled(t, "software", "")
	tell(t, exitOK, "trust", "rotate", "--root", root)
	file := filepath.Join(root, "State", "identity", "machine.json")
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, diag := do(t, "trust", "enroll", "--csr", "-", "--root", root); code != exitUsage || out != "" || !strings.Contains(diag, "damaged") {
		t.Errorf("enroll: %d %q %q", code, out, diag)
	}
	out := tell(t, exitFault, "trust", "status", "--root", root)
	for _, part := range []string{"machine key   broken\n", "PROBLEM ", "damaged", "; make a new key: KeeperAdminCLI trust rotate\n"} {
		if !strings.Contains(out, part) {
			t.Errorf("status lacks %q:\n%s", part, out)
		}
	}
	tell(t, exitOK, "trust", "rotate", "--root", root)
	if s := keyStatus(t, exitOK, root); s.State != identity.Ready || len(s.Problems) > 0 {
		t.Errorf("%+v", s)
	}
}

// A key that signs may be somebody else's too by now. That is a fault.
func TestAKeyThatOthersCanRead(t *testing.T) {
	root := enrolled(t, "software", "")
	tell(t, exitOK, "trust", "rotate", "--root", root)
	file := filepath.Join(root, "State", "identity", "machine.json")
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if s := keyStatus(t, exitFault, root); len(s.Problems) == 0 || !strings.Contains(s.Problems[0], file) {
		t.Errorf("%+v", s)
	}
}

// An issued certificate that ends soon is to be seen to while the key still
// signs.
func TestACertificateThatEndsSoon(t *testing.T) {
	root := enrolled(t, "software", "")
	block, _ := pem.Decode([]byte(tell(t, exitOK, "trust", "enroll", "--csr", "-", "--root", root)))
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	key, _ := newMachineKey(t)
	for days, code := range map[int]int{13: exitFault, 15: exitOK} {
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Duration(days)*24*time.Hour + time.Hour),
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}, &x509.Certificate{Subject: pkix.Name{CommonName: "Backend"}}, request.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "issued.pem")
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := tell(t, exitOK, "trust", "enroll", "--certificate", file, "--root", root); out != "installed; a service that runs finds it when it next opens the key\n" {
			t.Errorf("enroll says %q", out)
		}
		s := keyStatus(t, code, root)
		if s.State != identity.Ready || !s.Certificate.Issued || s.Certificate.DaysLeft != days || (len(s.Problems) > 0) != (code == exitFault) {
			t.Errorf("%d days: %+v, %+v", days, s, s.Certificate)
		}
	}
}

// Two that change the key at once would each bring the other's back.
func TestAnotherProgramChangesTheKey(t *testing.T) {
	root := enrolled(t, "software", "")
	tell(t, exitOK, "trust", "rotate", "--root", root)
	before := keyStatus(t, exitOK, root).KeyID
	lock, err := platform.Tools(root).Files.Lock(filepath.Join(root, "State", "identity", "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	code, out, diag := do(t, "trust", "rotate", "--root", root)
	if code != exitUsage || out != "" || !strings.HasPrefix(diag, "KeeperAdminCLI: identity: another program is changing it: ") {
		t.Errorf("%d %q %q", code, out, diag)
	}
	if after := keyStatus(t, exitOK, root).KeyID; after != before {
		t.Errorf("%s, was %s", after, before)
	}
}

// All that trust status may say, and nothing of what is not known. A TPM's words
// are whoever's is on its bus.
func TestMachineKeyForPeople(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, c := range []struct {
		status identity.Status
		want   string
	}{
		{identity.Status{State: identity.Absent}, "machine key   absent\n"},
		{identity.Status{
			State: identity.Ready, Assurance: "tpm", KeyID: "ab", Made: at, Device: "/dev/tpm1", SealedUnder: "the key",
			TPM:         &tpm.Info{Manufacturer: "INTC\x1b[2J", Vendor: "x\nPROBLEM none", Firmware: "1.2", Revision: "1.38"},
			Certificate: &identity.Certificate{Subject: "CN=a", Issuer: "CN=b", NotBefore: at, NotAfter: at.AddDate(0, 0, 9), DaysLeft: 9, Issued: true},
			Retired:     []string{"c", "d"}, Notes: []string{"e"}, Problems: []string{"f\ng", "h"},
		}, `machine key   ready
assurance     tpm
key id        ab
made          2026-01-02 03:04:05
device        /dev/tpm1
tpm           INTC` + "\uFFFD[2J x\uFFFD" + `PROBLEM none, firmware 1.2, specification 1.38
sealed under  the key
certificate   CN=a
issued by     CN=b
valid         2026-01-02 03:04:05 to 2026-01-11 03:04:05, 9 days left
earlier key   c
earlier key   d
note          e
PROBLEM       f` + "\uFFFD" + `g
PROBLEM       h
`},
	} {
		var b bytes.Buffer
		if err := printIdentity(&b, c.status, false); err != nil || b.String() != c.want {
			t.Errorf("%v\n%s\nwant\n%s", err, b.String(), c.want)
		}
	}
}

package admincli

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/trust/identity"
	"kpm/trust/tpm/tpmtest"
)

// enrolled is an agent root with settings for the machine key.
func enrolled(t *testing.T, store, device string) string {
	t.Helper()
	root := t.TempDir()
	text := fmt.Sprintf(`{"Settings": {"KeyStore": %q, "TpmDevice": %q}}`, store, device)
	if err := os.WriteFile(filepath.Join(root, "appsettings.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// tell runs the command line, expects an exit code and returns standard output.
func tell(t *testing.T, want int, args ...string) string {
	t.Helper()
	code, out, diag := do(t, args...)
	if code != want {
		t.Fatalf("%q: exit code %d, expected %d\n%s%s", args, code, want, out, diag)
	}
	return out
}

func keyStatus(t *testing.T, want int, root string) identity.Status {
	t.Helper()
	var s identity.Status
	if err := json.Unmarshal([]byte(tell(t, want, "trust", "status", "--json", "--root", root)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Whoever demands a TPM that there is not learns it before the service does.
func TestTrustStatusBeforeTheFirstKey(t *testing.T) {
	const cannot = "it cannot make one"
	for _, row := range []struct {
		store, device string
		refused       bool
	}{
		{"tpm", "/dev/no-such-tpm", true},
		{"auto", "/dev/no-such-tpm", true}, // named, and not there: that is no machine without one
		{"auto", "", false},
		{"software", "/dev/no-such-tpm", false},
	} {
		out := tell(t, exitFault, "trust", "status", "--root", enrolled(t, row.store, row.device))
		if strings.Contains(out, cannot) != row.refused || !strings.Contains(out, "there is no machine key yet") {
			t.Errorf("%s %q: %s", row.store, row.device, out)
		}
	}
}

func TestTrustStatus(t *testing.T) {
	for _, row := range []struct{ store, device, assurance string }{
		{"tpm", tpmtest.New(t), "tpm"}, {"software", "", "software"},
	} {
		root := enrolled(t, row.store, row.device)
		if s := keyStatus(t, exitFault, root); s.State != identity.Absent || len(s.Problems) != 1 {
			t.Errorf("%+v", s)
		}
		if _, err := os.Stat(filepath.Join(root, "State")); err == nil {
			t.Error("status makes something")
		}
		tell(t, exitOK, "trust", "rotate", "--root", root)
		s := keyStatus(t, exitOK, root)
		if s.State != identity.Ready || string(s.Assurance) != row.assurance || len(s.KeyID) != 64 || s.Certificate.DaysLeft < 3640 {
			t.Errorf("%+v", s)
		}
		out := tell(t, exitOK, "trust", "status", "--root", root)
		for _, want := range []string{"ready", "assurance     " + row.assurance, s.KeyID, "issued by     the machine itself", "days left", "note"} {
			if !strings.Contains(out, want) {
				t.Errorf("status lacks %q:\n%s", want, out)
			}
		}
		if (s.TPM != nil) != (row.store == "tpm") || strings.Contains(out, "firmware") != (row.store == "tpm") {
			t.Errorf("%+v\n%s", s.TPM, out)
		}
	}
}

func TestTrustStatusShowsNoSecret(t *testing.T) {
	root := enrolled(t, "software", "")
	out := tell(t, exitOK, "trust", "rotate", "--root", root)
	out += tell(t, exitOK, "trust", "status", "--root", root) + tell(t, exitOK, "trust", "status", "--json", "--root", root)
	data, err := os.ReadFile(filepath.Join(root, "State", "identity", "machine.json"))
	if err != nil {
		t.Fatal(err)
	}
	var record struct{ Key string }
	if err := json.Unmarshal(data, &record); err != nil || len(record.Key) < 100 {
		t.Fatalf("%v: %s", err, data)
	}
	for i := 0; i+16 <= len(record.Key); i += 8 {
		if strings.Contains(out, record.Key[i:i+16]) {
			t.Fatalf("%q of the key is shown:\n%s", record.Key[i:i+16], out)
		}
	}
}

func TestTrustStatusOfAKeyThatCannotBeUsed(t *testing.T) {
	root := enrolled(t, "tpm", tpmtest.New(t))
	tell(t, exitOK, "trust", "rotate", "--root", root)
	old := keyStatus(t, exitOK, root).KeyID
	text := fmt.Sprintf(`{"Settings": {"KeyStore": "auto", "TpmDevice": %q}}`, tpmtest.New(t))
	if err := os.WriteFile(filepath.Join(root, "appsettings.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := tell(t, exitFault, "trust", "status", "--root", root)
	for _, want := range []string{"broken", "PROBLEM", "another TPM", "KeeperAdminCLI trust rotate"} {
		if !strings.Contains(out, want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	out = tell(t, exitOK, "trust", "rotate", "--root", root)
	if !strings.Contains(out, "earlier key   "+old) || !strings.Contains(out, "next checkpoint") {
		t.Errorf("rotate says:\n%s", out)
	}
}

// A machine is enrolled with a CA and a registration server that are not ours.
func TestTrustEnroll(t *testing.T) {
	root, dir := enrolled(t, "tpm", tpmtest.New(t)), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	nonce := make([]byte, 32)
	rand.Read(nonce)
	tell(t, exitOK, "trust", "enroll", "--attestation", file("attestation.json"), "--nonce", hex.EncodeToString(nonce), "--root", root)
	attestation, err := os.ReadFile(file("attestation.json"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := identity.VerifyAttestation(attestation, nonce, identity.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	secret := bytes.Repeat([]byte{0xab}, 32)
	challenge, err := v.Challenge(secret)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(challenge)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file("challenge.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := tell(t, exitOK, "trust", "enroll", "--activate", file("challenge.json"), "--root", root); got != hex.EncodeToString(secret)+"\n" {
		t.Errorf("answer %q", got)
	}
	if got := tell(t, exitOK, "trust", "enroll", "--json", "--activate", file("challenge.json"), "--root", root); got != `{"secret":"`+hex.EncodeToString(secret)+"\"}\n" {
		t.Errorf("answer %q", got)
	}

	tell(t, exitOK, "trust", "enroll", "--csr", file("machine.csr"), "--root", root)
	if out := tell(t, exitOK, "trust", "enroll", "--csr", "-", "--root", root); !strings.HasPrefix(out, "-----BEGIN CERTIFICATE REQUEST-----\n") {
		t.Errorf("%q", out)
	}
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
		"-subj", "/CN=Backend CA", "-days", "30", "-addext", "keyUsage=critical,keyCertSign")
	if err := os.WriteFile(file("extensions"), []byte("extendedKeyUsage=clientAuth\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	openssl("x509", "-req", "-in", "machine.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "20", "-extfile", "extensions", "-out", "issued.pem")
	tell(t, exitUsage, "trust", "enroll", "--certificate", file("ca.pem"), "--root", root)
	tell(t, exitOK, "trust", "enroll", "--certificate", file("issued.pem"), "--root", root)
	s := keyStatus(t, exitOK, root)
	if !s.Certificate.Issued || s.Certificate.Issuer != "CN=Backend CA" || s.KeyID != v.KeyID {
		t.Errorf("%+v, %+v", s, s.Certificate)
	}
}

func TestTrustUsage(t *testing.T) {
	root := enrolled(t, "software", "")
	big := filepath.Join(root, "big")
	if err := os.WriteFile(big, make([]byte, maxInput+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no step":           {"enroll"},
		"two steps":         {"enroll", "--csr", "-", "--certificate", "x"},
		"nonce alone":       {"enroll", "--nonce", "00"},
		"no nonce":          {"enroll", "--attestation", "-"},
		"no hex":            {"enroll", "--attestation", "-", "--nonce", "xyz"},
		"software attests":  {"enroll", "--attestation", "-", "--nonce", strings.Repeat("00", 16)},
		"no file":           {"enroll", "--certificate", filepath.Join(root, "none")},
		"a huge file":       {"enroll", "--activate", big},
		"an argument":       {"status", "now"},
		"an unknown switch": {"rotate", "--force"},
	} {
		if code, out, diag := do(t, append(append([]string{"trust"}, args...), "--root", root)...); code != exitUsage || out != "" || diag == "" {
			t.Errorf("%s: exit code %d, %q, %q", name, code, out, diag)
		}
	}
	for _, command := range []string{"status", "enroll", "rotate"} {
		if out := tell(t, exitOK, "trust", command, "--help"); !strings.Contains(out, "Examples:") {
			t.Errorf("%s --help has no examples:\n%s", command, out)
		}
	}
}

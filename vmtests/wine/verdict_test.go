//go:build linux

package wine

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"kpm/trust/authenticode"
	"kpm/trust/trusttest"
)

// image is an unsigned Windows program.
func image(t *testing.T, dir string) []byte {
	t.Helper()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "image.exe")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, source)
	cmd.Env = append(os.Environ(), "GOOS=windows", "GOARCH=amd64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// WinVerifyTrust, which Wine implements, and our own check say the same of the
// same bytes; of who may sign, Wine knows nothing.
func TestWinVerifyTrustAgrees(t *testing.T) {
	const anyone = "Wine trusts every root, purpose and date"
	dir, pki := t.TempDir(), trusttest.New(t)
	unsigned := image(t, dir)
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sign := func(name, as string, args ...string) []byte {
		signer, out := pki.Get(as).Files(t), filepath.Join(dir, name)
		cmd := exec.Command("osslsigncode", append([]string{"sign", "-certs", signer.Chain, "-key", signer.Key,
			"-in", write("in.exe", unsigned), "-out", out}, args...)...)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("osslsigncode: %v\n%s", err, text)
		}
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	flipped := func(data []byte, at int) []byte {
		changed := bytes.Clone(data)
		changed[at] ^= 1
		return changed
	}
	good := sign("good", trusttest.Good, "-h", "sha256")
	cases := []struct {
		name         string
		data         []byte
		ours, theirs string // standing, or none
		because      string // why they differ
	}{
		{"good", good, "trusted", "trusted", ""},
		{"sha384", sign("sha384", trusttest.Good, "-h", "sha384"), "trusted", "trusted", ""},
		{"page hashes", sign("pages", trusttest.Good, "-h", "sha256", "-ph"), "trusted", "trusted", ""},
		{"not signed", unsigned, "none", "none", ""},
		{"code changed", flipped(good, 5000), "broken", "broken", ""},
		{"DOS stub changed", flipped(good, 0x50), "broken", "broken", ""},
		{"last byte before the signature changed", flipped(good, len(unsigned)-1), "broken", "broken", ""},
		{"the checksum is not signed", flipped(good, peOffset(good)+24+64), "trusted", "trusted", ""},
		{"a root that nobody configured", sign("stranger", trusttest.Stranger, "-h", "sha256"), "untrusted", "trusted", anyone},
		{"expired", sign("expired", trusttest.Expired, "-h", "sha256"), "untrusted", "trusted", anyone},
		{"for servers only", sign("server", trusttest.ServerAuth, "-h", "sha256"), "untrusted", "trusted", anyone},
		{"revoked", sign("revoked", trusttest.Revoked, "-h", "sha256"), "untrusted", "trusted", anyone},
		{"SHA-1", sign("sha1", trusttest.Good, "-h", "sha1"), "untrusted", "trusted", "Wine believes SHA-1"},
	}
	files := make([]string, len(cases))
	for i, c := range cases {
		files[i] = filepath.Base(write(fmt.Sprintf("case%d.exe", i), c.data))
	}
	theirs := verdicts(t, dir, files...)
	for i, c := range cases {
		_, evidence, err := authenticode.Verify(t.Context(), bytes.NewReader(c.data), int64(len(c.data)), pki.Anchors())
		if err != nil {
			t.Fatal(err)
		}
		ours := line{Standing: "none"}
		if len(evidence) > 0 {
			ours = line{evidence[0].Standing.String(), evidence[0].Reason}
		}
		if ours.Standing != c.ours || theirs[i].Standing != c.theirs {
			t.Errorf("%s: we say %+v, WinVerifyTrust %+v; expected %s and %s", c.name, ours, theirs[i], c.ours, c.theirs)
		}
		if (c.ours != c.theirs) != (c.because != "") {
			t.Errorf("%s: the row must say why they differ, and only then", c.name)
		}
	}
}

// peOffset is where the PE header begins.
func peOffset(image []byte) int { return int(image[0x3c]) | int(image[0x3d])<<8 }

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What openssl signs keys with, it verifies.
func TestSumsAreSigned(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	openssl := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
		if err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	openssl("genpkey", "-algorithm", "ed25519", "-out", at("key.pem"))
	openssl("pkey", "-in", at("key.pem"), "-pubout", "-out", at("public.pem"))
	r := &release{out: at("out")}
	if err := os.Mkdir(r.out, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.out, "a.deb"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := r.sums(at("key.pem")); err != nil {
		t.Fatal(err)
	}
	openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", at("public.pem"),
		"-in", filepath.Join(r.out, "SHA256SUMS"), "-sigfile", filepath.Join(r.out, "SHA256SUMS.sig"))
	if err := r.sums(at("public.pem")); err == nil || !strings.Contains(err.Error(), "public.pem") {
		t.Errorf("signed with a public key: %v", err)
	}
	openssl("genrsa", "-out", at("rsa.pem"), "2048")
	if err := r.sums(at("rsa.pem")); err == nil || !strings.Contains(err.Error(), "expected an Ed25519 key") {
		t.Errorf("signed with RSA: %v", err)
	}
}

func TestTablesBecomeLists(t *testing.T) {
	const page = "Before.\n\n| a | b | c |\n| --- | --- | --- |\n| `x` | 1 | 2 |\n\nAfter | all.\n"
	const want = "Before.\n\n- a: b; c\n- `x`: 1; 2\n\nAfter | all.\n"
	if got := string(narrow([]byte(page))); got != want {
		t.Errorf("%q", got)
	}
}

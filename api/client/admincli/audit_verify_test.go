package admincli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/launcher/journal"
)

// newMachineKey makes a key and a PEM file of its public half.
func newMachineKey(t *testing.T) (key *ecdsa.PrivateKey, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), 0o600); err != nil {
		t.Fatal(err)
	}
	return key, file
}

// signedAgent makes a root with a journal that key has signed.
func signedAgent(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	root := journalled(t)
	j := open(t, root)
	if err := j.Checkpoint(context.Background(), key); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestVerifySignatures(t *testing.T) {
	key, file := newMachineKey(t)
	other, otherFile := newMachineKey(t)
	root := signedAgent(t, key)
	code, out, diag := do(t, "audit", "verify", "--root", root)
	if code != 0 || diag != "" || !strings.Contains(out, "checkpoints: 1, whose signatures were not checked") {
		t.Errorf("without a key: %d: %q %q", code, out, diag)
	}
	code, out, diag = do(t, "audit", "verify", "--root", root, "--key", file, "--max-age", "1h")
	if code != 0 || diag != "" || !strings.Contains(out, "signed: up to record 8, at ") || !strings.Contains(out, "checkpoints: 1; 2 records after it are not") {
		t.Errorf("%d: %q %q", code, out, diag)
	}
	var report journal.Report
	code, out, _ = do(t, "audit", "verify", "--json", "--root", root, "--key", otherFile, "--key", file)
	if err := json.Unmarshal([]byte(out), &report); code != 0 || err != nil || report.Signed == nil || report.Signed.Record != 8 || report.Signed.Unsigned != 2 {
		t.Errorf("%d, %v: %q", code, err, out)
	}

	// Somebody else's key: theirs alone, and on a journal that has theirs.
	for name, args := range map[string][]string{
		"the key is not known": {"--root", root, "--key", otherFile},
		"another has signed":   {"--root", signedAgent(t, other), "--key", file},
	} {
		code, out, diag = do(t, append([]string{"audit", "verify"}, args...)...)
		for _, part := range []string{"FAULT in ", "line 9, record 9", "found:    a checkpoint of the key ", "expected: one of a key that was given", "remedy:   ", "8 records before it are unbroken"} {
			if code != 1 || diag != "" || !strings.Contains(out, part) {
				t.Errorf("%s: %d: %q lacks %q", name, code, out, part)
			}
		}
	}

	// Without any signature: a journal of a moment may have none yet, but one
	// with an age must.
	bare := journalled(t)
	code, out, _ = do(t, "audit", "verify", "--root", bare, "--key", file)
	if code != 0 || !strings.Contains(out, "signed: none of 7 records") {
		t.Errorf("%d: %q", code, out)
	}
	for _, option := range []string{"--max-age=1h", "--max-unsigned=1ns"} {
		code, out, _ = do(t, "audit", "verify", "--root", bare, "--key", file, option)
		if code != 1 || !strings.Contains(out, "FAULT in "+segment(bare)+"\n") || !strings.Contains(out, "no signature over any of 7 records") || !strings.Contains(out, "remedy:") {
			t.Errorf("%s: %d: %q", option, code, out)
		}
	}

	// A forged checkpoint, in a journal that is otherwise unbroken.
	data, err := os.ReadFile(segment(root))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	var r journal.Record
	if err := json.Unmarshal(lines[8], &r); err != nil {
		t.Fatal(err)
	}
	r.Signed.Signature[20] ^= 1
	if lines[8], err = json.Marshal(r); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segment(root), append(bytes.Join(lines[:9], nil), '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = do(t, "audit", "verify", "--root", root, "--key", file)
	if code != 1 || !strings.Contains(out, "line 9, record 9") || !strings.Contains(out, "whose signature does not verify") {
		t.Errorf("%d: %q", code, out)
	}
}

func TestTailShowsCheckpoints(t *testing.T) {
	key, _ := newMachineKey(t)
	code, out, _ := do(t, "audit", "tail", "-n", "2", "--root", signedAgent(t, key))
	if code != 0 || !strings.Contains(out, "checkpoint signed=8 key=") {
		t.Errorf("%d: %q", code, out)
	}
}

func TestVerifyUsage(t *testing.T) {
	_, file := newMachineKey(t)
	root := journalled(t)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(large, make([]byte, maxKeyFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no such file":    {[]string{"--key", "/nonexistent"}, "no such file"},
		"no key":          {[]string{"--key", empty}, "no PEM block"},
		"a large file":    {[]string{"--key", large}, "more than"},
		"an age alone":    {[]string{"--max-age", "1h"}, "--key"},
		"a time alone":    {[]string{"--max-unsigned", "1h"}, "--key"},
		"a negative age":  {[]string{"--key", file, "--max-age", "-1h"}, "negative"},
		"a negative time": {[]string{"--key", file, "--max-unsigned", "-1h"}, "negative"},
		"no duration":     {[]string{"--key", file, "--max-age", "soon"}, "invalid"},
	} {
		code, out, diag := do(t, append([]string{"audit", "verify", "--root", root}, c.args...)...)
		if code != 2 || out != "" || !strings.Contains(diag, c.says) {
			t.Errorf("%s: %d, %q, %q", name, code, out, diag)
		}
	}
}

// Package gpgtest lets tests make and check OpenPGP keys and signatures with
// GnuPG: signatures made by other people's program, and verdicts that are not
// ours. It is imported by tests only.
package gpgtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// GPG is a GnuPG of its own: keys, agent and all are gone after the test.
type GPG struct {
	Home string
	t    testing.TB
}

// New makes a home without keys.
func New(t testing.TB) *GPG {
	t.Helper()
	// Sockets have short paths; the test's own directory may not.
	home, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	g := &GPG{Home: home, t: t}
	t.Cleanup(func() {
		if out, err := exec.Command("gpgconf", "--homedir", home, "--kill", "all").CombinedOutput(); err != nil {
			t.Errorf("gpgconf --kill: %v: %s", err, out)
		}
		os.RemoveAll(home)
	})
	return g
}

// Try runs gpg and returns what it wrote to standard output, and its status
// lines.
func (g *GPG) Try(input []byte, args ...string) (stdout []byte, status string, err error) {
	g.t.Helper()
	status0 := filepath.Join(g.Home, "status")
	cmd := exec.Command("gpg", append([]string{"--homedir", g.Home, "--batch", "--yes", "--no-tty", "--quiet",
		"--passphrase", "", "--pinentry-mode", "loopback", "--status-file", status0}, args...)...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	stdout, err = cmd.Output()
	lines, readErr := os.ReadFile(status0)
	if readErr != nil {
		g.t.Fatal(readErr)
	}
	if err != nil {
		g.t.Logf("gpg %v: %v: %s", args, err, stderr.String())
	}
	return stdout, string(lines), err
}

// Run is Try for what must succeed.
func (g *GPG) Run(input []byte, args ...string) []byte {
	g.t.Helper()
	out, _, err := g.Try(input, args...)
	if err != nil {
		g.t.Fatalf("gpg %v: %v", args, err)
	}
	return out
}

// Generate makes a key and returns its fingerprint in lower-case hex. extra
// comes before the command.
func (g *GPG) Generate(user, algorithm, usage, expire string, extra ...string) string {
	g.t.Helper()
	_, status, err := g.Try(nil, append(extra, "--quick-generate-key", user, algorithm, usage, expire)...)
	if err != nil {
		g.t.Fatalf("generate %s: %v", user, err)
	}
	fields := strings.Fields(status[strings.Index(status, "KEY_CREATED"):])
	return strings.ToLower(fields[2])
}

// AddSubkey adds a subkey and returns its fingerprint.
func (g *GPG) AddSubkey(primary, algorithm, usage, expire string, extra ...string) string {
	g.t.Helper()
	g.Run(nil, append(extra, "--quick-add-key", primary, algorithm, usage, expire)...)
	var last string
	for _, line := range strings.Split(string(g.Run(nil, "--with-colons", "--with-subkey-fingerprint", "--list-keys", primary)), "\n") {
		if fields := strings.Split(line, ":"); fields[0] == "fpr" {
			last = strings.ToLower(fields[9])
		}
	}
	return last
}

// Export returns public keys, binary.
func (g *GPG) Export(keys ...string) []byte {
	g.t.Helper()
	return g.Run(nil, append([]string{"--export"}, keys...)...)
}

// Sign returns a binary detached signature over content.
func (g *GPG) Sign(key string, content []byte, extra ...string) []byte {
	g.t.Helper()
	return g.Run(content, append(extra, "--local-user", key+"!", "--detach-sign", "-o", "-")...)
}

// Good reports whether GnuPG, knowing the public keys that g has, calls the
// signature good without reservation: GOODSIG, and no line that says expired,
// revoked, bad, or in error.
func (g *GPG) Good(signature, content []byte) bool {
	g.t.Helper()
	dir := g.t.TempDir()
	for name, data := range map[string][]byte{"signature": signature, "content": content} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	_, status, err := g.Try(nil, "--verify", filepath.Join(dir, "signature"), filepath.Join(dir, "content"))
	good := strings.Contains(status, "] GOODSIG ")
	for _, bad := range []string{"EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG"} {
		good = good && !strings.Contains(status, "] "+bad+" ")
	}
	return good && err == nil
}

// Knowing makes a GnuPG that knows public keys and has no secret ones.
func Knowing(t testing.TB, keys []byte) *GPG {
	t.Helper()
	g := New(t)
	g.Run(keys, "--import")
	return g
}

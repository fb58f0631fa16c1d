package authenticode

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

// osslsigncode is the foreign signer and verifier. It runs it and returns what
// it printed and whether it was content.
func osslsigncode(t testing.TB, args ...string) (output string, ok bool) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "osslsigncode", args...).CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return string(out), err == nil
}

// sign has osslsigncode sign data as signer. ext is the file name's extension,
// by which it tells scripts.
func sign(t testing.TB, signer *trusttest.Entity, ext string, data []byte, args ...string) []byte {
	t.Helper()
	f := signer.Files(t)
	return rewrite(t, ext, data, append([]string{"sign", "-certs", f.Chain, "-key", f.Key}, args...)...)
}

// rewrite has osslsigncode make another file of data.
func rewrite(t testing.TB, ext string, data []byte, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "in"+ext), filepath.Join(dir, "out"+ext)
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if printed, ok := osslsigncode(t, append(args, "-in", in, "-out", out)...); !ok {
		t.Fatalf("osslsigncode %v: %s", args, printed)
	}
	made, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// stamped are the arguments that add an RFC 3161 time-stamp.
func stamped(t testing.TB, stamper *trusttest.Entity, more ...string) []string {
	f := stamper.Files(t)
	return append([]string{"-TSA-certs", f.Chain, "-TSA-key", f.Key}, more...)
}

// peer reports whether osslsigncode is content with data, given what Anchors
// trusts.
type peer struct {
	dir, code, time, lists string
}

func newPeer(t testing.TB, pki *trusttest.PKI) *peer {
	t.Helper()
	p := &peer{dir: t.TempDir(), lists: pki.RevocationFile(t)}
	for _, ca := range []string{trusttest.ECRoot, trusttest.ECIssuing} { // it wants a list of every CA if it is given any
		appendFile(t, p.lists, emptyList(t, pki.Get(ca)))
	}
	p.code, p.time = filepath.Join(p.dir, "code.pem"), filepath.Join(p.dir, "time.pem")
	for path, roots := range map[string][]byte{
		p.code: trusttest.PEM(pki.Get(trusttest.Root).Certificate, pki.Get(trusttest.ECRoot).Certificate),
		p.time: trusttest.PEM(pki.Get(trusttest.TimeRoot).Certificate),
	} {
		if err := os.WriteFile(path, roots, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// emptyList is a revocation list without entries, in PEM.
func emptyList(t testing.TB, ca *trusttest.Entity) []byte {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	der, err := x509.CreateRevocationList(rand.Reader, template, ca.Certificate, ca.Key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

func appendFile(t testing.TB, path string, data []byte) {
	t.Helper()
	before, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(before, data...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *peer) accepts(t testing.TB, ext string, data []byte, args ...string) (bool, string) {
	t.Helper()
	in := filepath.Join(p.dir, "in"+ext)
	if err := os.WriteFile(in, data, 0o600); err != nil {
		t.Fatal(err)
	}
	printed, ok := osslsigncode(t, append([]string{"verify", "-CAfile", p.code, "-TSA-CAfile", p.time,
		"-CRLfile", p.lists, "-TSA-CRLfile", p.lists, "-ignore-cdp", "-in", in}, args...)...)
	return ok, printed
}

// verify is Verify of bytes that can be read.
func verify(t testing.TB, a *chain.Anchors, data []byte, catalogs ...*Catalog) (string, []core.Evidence) {
	t.Helper()
	format, evidence, err := Verify(t.Context(), bytes.NewReader(data), int64(len(data)), a, catalogs...)
	if err != nil {
		t.Fatal(err)
	}
	return format, evidence
}

// standing is the worst standing of all evidence: Trusted only if there is any
// and all of it is.
func standing(evidence []core.Evidence) core.Standing {
	if len(evidence) == 0 {
		return core.Untrusted
	}
	worst := core.Trusted
	for _, e := range evidence {
		worst = min(worst, e.Standing)
	}
	return worst
}

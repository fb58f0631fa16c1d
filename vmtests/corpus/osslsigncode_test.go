//go:build linux

package corpus

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// theirs is another verifier's verdict on one signature.
type theirs struct {
	trusted bool
	signer  string    // its common name
	stamped time.Time // by a stamper that is trusted
}

var (
	signatureHead    = regexp.MustCompile(`(?m)^Signature Index: .*$`)
	claimedDigest    = regexp.MustCompile(`(?m)^Current (?:message digest|DigitalSignature|MsiDigitalSignatureEx) +: ([0-9A-F]+)`)
	calculatedDigest = regexp.MustCompile(`(?m)^Calculated (?:message digest|DigitalSignature|MsiDigitalSignatureEx) +: ([0-9A-F]+)`)
	signerSubject    = regexp.MustCompile(`(?s)Signer's certificate:.*?Subject: [^\n]*/CN=([^/\n]+)`)
	provenTime       = regexp.MustCompile(`(?m)^Signature verification time: (.*) GMT$`)
)

// osslsigncode judges the file at path by the anchors in bundle. Nobody is asked
// over the network, and no revocation list is missed.
func osslsigncode(t *testing.T, bundle, path string, more ...string) []theirs {
	t.Helper()
	said := peer(t, append([]string{"osslsigncode", "verify", "-ignore-cdp", "-ignore-crl", "-CAfile", bundle, "-TSA-CAfile", bundle, "-in", path}, more...)...)
	heads := signatureHead.FindAllStringIndex(said, -1)
	var found []theirs
	for i, head := range heads {
		end := len(said)
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		part := said[head[0]:end]
		claimed, calculated := claimedDigest.FindAllStringSubmatch(part, -1), calculatedDigest.FindAllStringSubmatch(part, -1)
		for j := range min(len(claimed), len(calculated)) {
			if claimed[j][1] != calculated[j][1] {
				t.Errorf("osslsigncode: signature %d is of another file\n%s", i+1, said)
			}
		}
		one := theirs{trusted: strings.Contains(part, "\nSignature verification: ok")}
		if subject := signerSubject.FindStringSubmatch(part); subject != nil {
			one.signer = subject[1]
		}
		if at := provenTime.FindStringSubmatch(part); at != nil {
			var err error
			if one.stamped, err = time.Parse("Jan _2 15:04:05 2006", at[1]); err != nil {
				t.Fatal(err)
			}
		}
		found = append(found, one)
	}
	return found
}

// explicitly marks each certificate of a bundle as one that openssl is to trust
// although it is no root.
func explicitly(t *testing.T, bundle string) string {
	t.Helper()
	var marked strings.Builder
	for _, block := range strings.SplitAfter(bundle, "-----END CERTIFICATE-----\n") {
		if block == "" {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "openssl", "x509", "-trustout", "-addtrust", "anyExtendedKeyUsage")
		cmd.Stdin = strings.NewReader(block)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		marked.Write(out)
	}
	return marked.String()
}

// published is a directory that others can read, with what they are given.
func published(t *testing.T, contents map[string]string) string {
	t.Helper()
	shared := t.TempDir()
	// The directories that a test is given are its own user's alone.
	for _, dir := range []string{shared, filepath.Dir(shared)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(shared, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return shared
}

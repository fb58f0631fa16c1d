package timestamp_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/cms"
	"kpm/trust/timestamp"
	"kpm/trust/trusttest"
)

func run(t testing.TB, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
}

func save(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// opensslStamps has openssl act as time-stamping authority.
func opensslStamps(t testing.TB, value []byte, stamper, hash string) []byte {
	t.Helper()
	dir := t.TempDir()
	query, reply := filepath.Join(dir, "query"), filepath.Join(dir, "reply")
	run(t, "openssl", "ts", "-query", "-data", save(t, value), "-"+hash, "-cert", "-out", query)
	run(t, "openssl", "ts", "-reply", "-config", pki().StampConfig(t, stamper), "-queryfile", query, "-token_out", "-out", reply)
	token, err := os.ReadFile(reply)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOpenSSLStamps(t *testing.T) {
	for _, tc := range []struct {
		stamper, hash string
		stampCase
	}{
		{trusttest.Stamper, "sha256", stampCase{want: core.Trusted}},
		{trusttest.Stamper, "sha512", stampCase{want: core.Trusted}},
		{trusttest.StamperEC, "sha384", stampCase{want: core.Trusted}},
		{trusttest.Stamper, "sha1", stampCase{want: core.Untrusted, reason: "can be forged"}},
		{trusttest.StamperStray, "sha256", stampCase{want: core.Untrusted, reason: "leads to no configured root"}},
		{trusttest.StamperOld, "sha256", stampCase{want: core.Untrusted, reason: "had expired"}},
	} {
		t.Run(tc.stamper+" "+tc.hash, func(t *testing.T) {
			s, others := stamped(t, func(value []byte, f *trusttest.Forgery) {
				f.AddUnsigned(trusttest.OIDToken, opensslStamps(t, value, tc.stamper, tc.hash))
			})
			expect(t, s, others, "rfc3161", tc.stampCase)
			s, others = stamped(t, func(_ []byte, f *trusttest.Forgery) {
				f.AddUnsigned(trusttest.OIDToken, opensslStamps(t, []byte("another"), tc.stamper, tc.hash))
			})
			if _, _, err := timestamp.Of(s, others, pki().Anchors()); !errors.Is(err, cms.ErrForged) {
				t.Errorf("of another signature: %v", err)
			}
		})
	}
}

// osslsigncode signs a cabinet and stamps it with a time of our choosing.
func TestOsslsigncodeStamps(t *testing.T) {
	p := pki()
	dir := t.TempDir()
	plain, signed, signature := filepath.Join(dir, "plain.cab"), filepath.Join(dir, "signed.cab"), filepath.Join(dir, "signature")
	run(t, "gcab", "-c", plain, save(t, []byte("content")))
	signer := p.Get(trusttest.Expired)
	f := signer.Files(t)
	for _, tc := range []struct {
		name, stamper string
		ago           time.Duration
		stampCase
		signer core.Standing
	}{
		{"while the signer was valid", trusttest.Stamper, 2 * year, stampCase{want: core.Trusted}, core.Trusted},
		{"when the signer had expired", trusttest.Stamper, time.Hour, stampCase{want: core.Trusted}, core.Untrusted},
		{"by a stranger", trusttest.StamperStray, 2 * year, stampCase{want: core.Untrusted}, core.Untrusted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			at := p.Now.Add(-tc.ago)
			os.Remove(signed)
			os.Remove(signature)
			run(t, "osslsigncode", append([]string{"sign", "-certs", f.Chain, "-key", f.Key, "-h", "sha256", "-in", plain, "-out", signed},
				p.StampArgs(t, tc.stamper, at)...)...)
			run(t, "osslsigncode", "extract-signature", "-in", signed, "-out", signature)
			der, err := os.ReadFile(signature)
			if err != nil {
				t.Fatal(err)
			}
			d, err := cms.Parse(der)
			if err != nil {
				t.Fatal(err)
			}
			s, err := d.Verify(nil)
			if err != nil {
				t.Fatal(err)
			}
			expect(t, s, d.Certificates, "rfc3161", tc.stampCase)
			stamp, _, err := timestamp.Of(s, d.Certificates, p.Anchors())
			if err != nil || !stamp.At.Equal(at) {
				t.Errorf("at %v, %v", stamp.At, err)
			}
			var proven time.Time
			if stamp.Verdict.Standing == core.Trusted {
				proven = stamp.At
			}
			if v := p.Anchors().CodeSigner(s.Certificate, d.Certificates, proven); v.Standing != tc.signer {
				t.Errorf("the signer: %v: %s", v.Standing, v.Reason)
			}
		})
	}
}

// Where openssl ts -verify and we differ about a token, and why. Where it does
// not say as much as we do, it is to its user to say it.
var opensslDiffers = map[string]string{
	"of a SHA-1 imprint":                           "it sets no bar for digests",
	"signed with SHA-1, with room for a collision": "it sets no bar for digests",
	"signed with SHA-1, with a collision's block":  "it sets no bar for digests",
	"signed with SHA-1, with an extension":         "it sets no bar for digests",
	"signed with SHA-1 by a short key":             "it sets no bar for keys",
	"signed with SHA-1 over SHA-1":                 "it sets no bar for digests",
	"of one whose usage is not critical":           "it wants the usage to be critical",
	"from the future":                              "it does not judge the time in the token",
	"from before the stamper":                      "it judges certificates as of now",
	"of an expired stamper, in time":               "it judges certificates as of now",
	"inaccurate to an hour":                        "it does not look at the accuracy",
	"inaccurate below zero":                        "it does not look at the accuracy",
	"inaccurate to 2000 milliseconds":              "it does not look at the accuracy",
	"something behind TSTInfo":                     "it leaves what follows",
	"of month 13":                                  "it does not read the time",
	"without seconds":                              "it does not read the time",
	"another time zone":                            "it does not read the time",
	"local time":                                   "it does not read the time",
	"critical extension":                           "it does not look at extensions",
	"with accuracy, ordering, nonce and name":      "it compares the name with the certificate's; here it is made up",
}

func TestOpenSSLVerifiesTokens(t *testing.T) {
	p := pki()
	value := []byte("a signature")
	root := p.Get(trusttest.Stamper).Files(t).Root
	data := save(t, value)
	for _, tc := range stampCases() {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.Command("openssl", "ts", "-verify", "-data", data, "-token_in", "-in", save(t, tc.make(value)), "-CAfile", root).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			differs := (err == nil) != (tc.err == nil && tc.want == core.Trusted)
			if differs != (opensslDiffers[tc.name] != "") {
				t.Errorf("openssl accepts: %v; the reason listed: %q\n%s", err == nil, opensslDiffers[tc.name], out)
			}
		})
	}
}

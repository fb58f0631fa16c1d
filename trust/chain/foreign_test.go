package chain_test

import (
	"errors"
	"os/exec"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/trusttest"
)

// Where openssl verify and we differ about a code signer, and why.
var opensslDiffers = map[string]string{
	trusttest.ServerAuth:    "it has no notion of signing code",
	trusttest.NoEKU:         "it has no notion of signing code",
	trusttest.AnyEKU:        "it has no notion of signing code",
	trusttest.NoSigning:     "it has no notion of signing code",
	trusttest.BelowServerCA: "it has no notion of signing code",
	trusttest.CASigner:      "it has no notion of signing code",
	trusttest.BelowRevoked:  "it was asked about the list of the signer's issuer only",
}

func TestOpenSSLVerifiesPaths(t *testing.T) {
	p := trusttest.New(t)
	root, lists := p.Get(trusttest.Root).Files(t).Cert, p.RevocationFile(t)
	for _, name := range []string{
		trusttest.Good, trusttest.Expired, trusttest.NotYet, trusttest.ServerAuth, trusttest.NoEKU, trusttest.AnyEKU,
		trusttest.NoSigning, trusttest.Lifetime, trusttest.Revoked, trusttest.Superseded, trusttest.Compromised, trusttest.CASigner,
		trusttest.BelowRevoked, trusttest.BelowServerCA, trusttest.TooLong, trusttest.BelowLeaf, trusttest.Constrained,
		trusttest.Directory, trusttest.SHA1Chain, trusttest.RSA1024, trusttest.Stranger, trusttest.SelfSigned, trusttest.GoodEC,
	} {
		t.Run(name, func(t *testing.T) {
			e := p.Get(name)
			f := e.Files(t)
			args := []string{"verify", "-CAfile", root, "-untrusted", f.Chain, "-CRLfile", lists, "-auth_level", "2"}
			if e.Issuer != nil && (e.Issuer.Name == trusttest.Issuing || e.Issuer.Name == trusttest.Root) {
				args = append(args, "-crl_check")
			}
			out, err := exec.Command("openssl", append(args, f.Cert)...).CombinedOutput()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			a := p.Anchors()
			a.CodeRoots = a.CodeRoots[:1]
			v := a.CodeSigner(e.Certificate, e.Chain(), time.Time{})
			differs := (err == nil) != (v.Standing == core.Trusted)
			if differs != (opensslDiffers[name] != "") {
				t.Errorf("openssl: %s\nours: %v: %s\nthe reason listed: %q", out, v.Standing, v.Reason, opensslDiffers[name])
			}
		})
	}
}

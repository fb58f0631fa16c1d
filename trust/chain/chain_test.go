package chain_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

const year = 365 * 24 * time.Hour

// outcome finds a check.
func outcome(v chain.Verdict, name string) string {
	i := slices.IndexFunc(v.Checks, func(c core.Check) bool { return c.Name == name })
	if i < 0 {
		return "missing"
	}
	return v.Checks[i].Outcome
}

// expect compares a verdict. A reason is compared by a part of it.
func expect(t *testing.T, v chain.Verdict, want core.Standing, reason string) {
	t.Helper()
	if v.Standing != want || !strings.Contains(v.Reason, reason) {
		t.Errorf("%v: %q, want %v: %q\n%+v", v.Standing, v.Reason, want, reason, v.Checks)
	}
	for _, name := range []string{"key usage", "validity", "certificate chain", "revocation"} {
		if outcome(v, name) == "missing" {
			t.Errorf("no word about %s: %+v", name, v.Checks)
		}
	}
	failed := slices.ContainsFunc(v.Checks, func(c core.Check) bool { return c.Outcome == core.Failed })
	if failed != (want == core.Untrusted) {
		t.Errorf("%v, and the checks say %+v", want, v.Checks)
	}
	if len(v.Chain) == 0 || v.Reason == "" {
		t.Errorf("no chain or no reason: %+v", v)
	}
}

func TestCodeSigner(t *testing.T) {
	p := trusttest.New(t)
	then := p.Now.Add(-2 * year).Add(24 * time.Hour) // everyone was valid, nobody revoked
	for _, tc := range []struct {
		signer string
		at     time.Time // a proven signing time
		want   core.Standing
		reason string
	}{
		{trusttest.Good, time.Time{}, core.Trusted, "leads to a configured root"},
		{trusttest.GoodEC, time.Time{}, core.Trusted, "leads to a configured root"},
		{trusttest.Good, then, core.Trusted, "leads to a configured root"},

		{trusttest.Stranger, time.Time{}, core.Untrusted, "leads to no configured root"},
		{trusttest.SelfSigned, time.Time{}, core.Untrusted, "leads to no configured root"},
		{trusttest.Stamper, time.Time{}, core.Untrusted, "may not sign code"},
		{trusttest.DeveloperID, time.Time{}, core.Untrusted, ""},

		{trusttest.Expired, time.Time{}, core.Untrusted, "has expired"},
		{trusttest.Expired, then, core.Trusted, ""},
		{trusttest.Expired, p.Now.Add(-time.Hour), core.Untrusted, "had expired when it was used"},
		{trusttest.Expired, p.Now.Add(-4 * year), core.Untrusted, "was not valid yet"},
		{trusttest.NotYet, time.Time{}, core.Untrusted, "was not valid yet"},
		{trusttest.NotYet, p.Now.Add(48 * time.Hour), core.Untrusted, "a time that has not come yet"},
		{trusttest.Good, p.Now.Add(time.Hour), core.Untrusted, "a time that has not come yet"},
		{trusttest.Good, p.Now.Add(time.Minute), core.Trusted, ""},
		{trusttest.Good, p.Now.Add(-3 * year), core.Untrusted, "was not valid yet"},
		{trusttest.Lifetime, time.Time{}, core.Untrusted, "has expired"},
		{trusttest.Lifetime, then, core.Untrusted, "has expired"},

		{trusttest.ServerAuth, time.Time{}, core.Untrusted, "may not sign code"},
		{trusttest.NoEKU, time.Time{}, core.Untrusted, "may not sign code"},
		{trusttest.AnyEKU, time.Time{}, core.Untrusted, "may not sign code"},
		{trusttest.NoSigning, time.Time{}, core.Untrusted, "may not make signatures"},
		{trusttest.CASigner, time.Time{}, core.Untrusted, "certificate authority"},
		{trusttest.Root, time.Time{}, core.Untrusted, "certificate authority"},

		{trusttest.BelowServerCA, time.Time{}, core.Untrusted, "may not issue it for this use"},
		{trusttest.TooLong, time.Time{}, core.Untrusted, "more issuers than they may have"},
		{trusttest.BelowLeaf, time.Time{}, core.Untrusted, "leads to no configured root"},
		{trusttest.Constrained, time.Time{}, core.Untrusted, "a name that its issuer may not give"},
		{trusttest.Directory, time.Time{}, core.Untrusted, "name constraints that are not understood"},
		{trusttest.SHA1Chain, time.Time{}, core.Untrusted, "algorithm that can be forged"},
		{trusttest.RSA1024, time.Time{}, core.Untrusted, "RSA key of 1024 bits"},

		{trusttest.Revoked, time.Time{}, core.Untrusted, "was revoked on"},
		{trusttest.Superseded, time.Time{}, core.Untrusted, "was revoked on"},
		{trusttest.Compromised, time.Time{}, core.Untrusted, "was revoked on"},
		{trusttest.BelowRevoked, time.Time{}, core.Untrusted, "issued by one that was revoked on"},
		{trusttest.Superseded, then, core.Trusted, ""},
		{trusttest.Superseded, p.Now.Add(-time.Hour), core.Untrusted, "was revoked on"},
		{trusttest.Compromised, then, core.Untrusted, "was revoked on"},
		{trusttest.Revoked, then, core.Untrusted, "was revoked on"}, // no reason given may be any
		{trusttest.BelowRevoked, then, core.Untrusted, "issued by one that was revoked on"},
	} {
		name := tc.signer
		if !tc.at.IsZero() {
			name += " at " + tc.at.Format(time.DateOnly)
		}
		t.Run(name, func(t *testing.T) {
			e := p.Get(tc.signer)
			v := p.Anchors().CodeSigner(e.Certificate, e.Chain(), tc.at)
			expect(t, v, tc.want, tc.reason)
			if !v.Chain[0].Equal(e.Certificate) {
				t.Error("the chain does not begin with the signer")
			}
		})
	}
}

func TestChainLeadsToTheRoot(t *testing.T) {
	p := trusttest.New(t)
	e := p.Get(trusttest.Good)
	v := p.Anchors().CodeSigner(e.Certificate, e.Chain(), time.Time{})
	want := []*x509.Certificate{e.Certificate, p.Get(trusttest.Issuing).Certificate, p.Get(trusttest.Root).Certificate}
	if !slices.EqualFunc(v.Chain, want, (*x509.Certificate).Equal) {
		t.Errorf("%v", chain.DescribeAll(v.Chain))
	}
	if outcome(v, "revocation") != core.Passed || outcome(v, "key strength") != core.Passed {
		t.Errorf("%+v", v.Checks)
	}
}

// What comes with a signature is only material for a path.
func TestNothingThatComesAlongIsTrusted(t *testing.T) {
	p := trusttest.New(t)
	stranger := p.Get(trusttest.Stranger)
	others := append(stranger.Chain(), p.Get(trusttest.StrangerRoot).Certificate, p.Get(trusttest.Root).Certificate)
	expect(t, p.Anchors().CodeSigner(stranger.Certificate, others, time.Time{}), core.Untrusted, "leads to no configured root")
	expect(t, new(chain.Anchors).CodeSigner(p.Get(trusttest.Good).Certificate, others, time.Time{}), core.Untrusted, "leads to no configured root")
	// Without the issuer there is no path, whoever is asked.
	expect(t, p.Anchors().CodeSigner(p.Get(trusttest.Good).Certificate, nil, time.Time{}), core.Untrusted, "leads to no configured root")
	// A good signer's root is none of time-stampers and Apple.
	good := p.Get(trusttest.Good)
	expect(t, p.Anchors().AppleSigner(good.Certificate, good.Chain(), time.Time{}), core.Untrusted, "leads to no configured root")
	expect(t, p.Anchors().TimeStamper(good.Certificate, good.Chain(), p.Now), core.Untrusted, "not for time-stamps")
}

func TestThumbprints(t *testing.T) {
	p := trusttest.New(t)
	for _, tc := range []struct {
		signer string
		others bool
		want   core.Standing
		reason string
	}{
		{trusttest.SelfSigned, false, core.Trusted, "trusted by its thumbprint"},
		{trusttest.Stranger, false, core.Trusted, "trusted by its thumbprint"},
		{trusttest.Good, true, core.Trusted, "trusted by its thumbprint"},
		{trusttest.Expired, true, core.Untrusted, "has expired"},
		{trusttest.ServerAuth, true, core.Untrusted, "may not sign code"},
		{trusttest.CASigner, true, core.Trusted, "trusted by its thumbprint"}, // decision 41
		{trusttest.RSA1024, true, core.Untrusted, "RSA key of 1024 bits"},
		{trusttest.Revoked, true, core.Untrusted, "was revoked on"},
		{trusttest.Revoked, false, core.Untrusted, "was revoked on"}, // its issuer was left out
		{trusttest.RevokedCA, false, core.Untrusted, "may not make signatures"},
	} {
		e := p.Get(tc.signer)
		one, two := sha1.Sum(e.Certificate.Raw), sha256.Sum256(e.Certificate.Raw)
		for _, thumbprint := range []string{hex.EncodeToString(one[:]), hex.EncodeToString(two[:])} {
			t.Run(tc.signer+" "+thumbprint[:6], func(t *testing.T) {
				a := p.Anchors()
				a.Thumbprints = map[string]bool{thumbprint: true}
				var others []*x509.Certificate
				if tc.others {
					others = e.Chain()
				}
				expect(t, a.CodeSigner(e.Certificate, others, time.Time{}), tc.want, tc.reason)
				expect(t, a.AppleSigner(e.Certificate, others, time.Time{}), tc.want, tc.reason)
				a.Thumbprints[thumbprint] = false
				if v := a.CodeSigner(e.Certificate, others, time.Time{}); strings.Contains(v.Reason, "thumbprint") {
					t.Error("a thumbprint that was taken back")
				}
			})
		}
	}
	// Names are no thumbprints (CVE-2020-12614): Stranger is called as Good is.
	good, stranger := p.Get(trusttest.Good), p.Get(trusttest.Stranger)
	if good.Certificate.Subject.String() != stranger.Certificate.Subject.String() {
		t.Fatal("the names differ")
	}
	a := p.Anchors()
	two := sha256.Sum256(good.Certificate.Raw)
	a.Thumbprints = map[string]bool{hex.EncodeToString(two[:]): true, good.Certificate.Subject.String(): true, chain.SignerName(good.Certificate): true}
	expect(t, a.CodeSigner(stranger.Certificate, stranger.Chain(), time.Time{}), core.Untrusted, "leads to no configured root")
	// A thumbprint of a time-stamper says nothing about time-stamps.
	stray := p.Get(trusttest.StamperStray)
	two = sha256.Sum256(stray.Certificate.Raw)
	a.Thumbprints = map[string]bool{hex.EncodeToString(two[:]): true}
	expect(t, a.TimeStamper(stray.Certificate, stray.Chain(), p.Now), core.Untrusted, "leads to no configured root")
}

func TestTimeStamper(t *testing.T) {
	p := trusttest.New(t)
	for _, tc := range []struct {
		stamper string
		at      time.Time
		want    core.Standing
		reason  string
	}{
		{trusttest.Stamper, p.Now, core.Trusted, "leads to a configured root"},
		{trusttest.StamperEC, p.Now, core.Trusted, ""},
		{trusttest.Stamper, p.Now.Add(-5 * year), core.Trusted, ""},
		{trusttest.Stamper, p.Now.Add(-20 * year), core.Untrusted, "was not valid yet"},
		{trusttest.Stamper, p.Now.Add(24 * time.Hour), core.Untrusted, "a time that has not come yet"},
		{trusttest.StamperOld, p.Now.Add(-2 * year), core.Trusted, ""},
		{trusttest.StamperOld, p.Now, core.Untrusted, "had expired when it was used"},
		{trusttest.StamperSoft, p.Now, core.Trusted, ""}, // its usage is not critical, as Microsoft's until 2021
		{trusttest.StamperBoth, p.Now, core.Untrusted, "not for time-stamps and nothing else"},
		{trusttest.StamperIsCode, p.Now, core.Untrusted, "not for time-stamps and nothing else"},
		{trusttest.StamperStray, p.Now, core.Untrusted, "leads to no configured root"},
		{trusttest.TimeRoot, p.Now, core.Untrusted, "certificate authority"},
	} {
		t.Run(tc.stamper+" at "+tc.at.Format(time.DateOnly), func(t *testing.T) {
			e := p.Get(tc.stamper)
			v := p.Anchors().TimeStamper(e.Certificate, e.Chain(), tc.at)
			expect(t, v, tc.want, tc.reason)
			if !strings.HasPrefix(v.Reason, "the time-stamper's") {
				t.Errorf("%q", v.Reason)
			}
		})
	}
}

func TestAppleSigner(t *testing.T) {
	p := trusttest.New(t)
	for _, tc := range []struct {
		signer string
		at     time.Time
		want   core.Standing
		reason string
	}{
		{trusttest.DeveloperID, time.Time{}, core.Trusted, "leads to a configured root"},
		{trusttest.AppStore, time.Time{}, core.Trusted, ""},
		{trusttest.AppleSoftware, time.Time{}, core.Trusted, ""},
		{trusttest.AppleExpired, time.Time{}, core.Untrusted, "has expired"},
		{trusttest.AppleExpired, p.Now.Add(-2 * year), core.Trusted, ""},
		{trusttest.AppleNoLeaf, time.Time{}, core.Untrusted, "neither a Developer ID"},
		{trusttest.AppleNoCA, time.Time{}, core.Untrusted, "neither a Developer ID"},
		{trusttest.AppleDev, time.Time{}, core.Untrusted, "neither a Developer ID"},
		{trusttest.Good, time.Time{}, core.Untrusted, "leads to no configured root"},
		{trusttest.Stranger, time.Time{}, core.Untrusted, "leads to no configured root"},
	} {
		t.Run(tc.signer, func(t *testing.T) {
			e := p.Get(tc.signer)
			v := p.Anchors().AppleSigner(e.Certificate, e.Chain(), tc.at)
			expect(t, v, tc.want, tc.reason)
			if tc.want == core.Trusted && len(v.Chain[0].UnhandledCriticalExtensions) != len(e.Certificate.UnhandledCriticalExtensions) {
				t.Error("the chain holds a changed certificate")
			}
		})
	}
	// Critical extensions that only Apple's signers have are unknown elsewhere.
	e := p.Get(trusttest.DeveloperID)
	a := p.Anchors()
	a.CodeRoots = a.AppleRoots
	expect(t, a.CodeSigner(e.Certificate, e.Chain(), time.Time{}), core.Untrusted, "critical extension that is not understood")
}

func BenchmarkCodeSigner(b *testing.B) {
	p := trusttest.New(b)
	for _, name := range []string{trusttest.Good, trusttest.GoodEC} {
		b.Run(name, func(b *testing.B) {
			e, a := p.Get(name), p.Anchors()
			b.ReportAllocs()
			for b.Loop() {
				if v := a.CodeSigner(e.Certificate, e.Chain(), time.Time{}); v.Standing != core.Trusted {
					b.Fatal(v.Reason)
				}
			}
		})
	}
}

package chain_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/trusttest"
)

var null = []byte{5, 0}

func extension(critical bool, value []byte, id ...int) pkix.Extension {
	return pkix.Extension{Id: id, Critical: critical, Value: value}
}

// distribution is an IssuingDistributionPoint with one flag.
func distribution(tag byte) pkix.Extension {
	return extension(true, []byte{0x30, 3, 0x80 | tag, 1, 0xff}, 2, 5, 29, 28)
}

// listCase is a list by which Good is judged.
type listCase struct {
	name      string
	change    func(l *x509.RevocationList, e *x509.RevocationListEntry) // the entry revokes Good a year ago
	edit      func(list []byte) []byte                                  // of what is signed
	algorithm x509.SignatureAlgorithm                                   // the key's own if 0
	issuer    string                                                    // Issuing if empty
	at        time.Duration                                             // proven signing time before now; 0: none
	want      core.Standing
	detail    string // of the check
}

func TestRevocationLists(t *testing.T) {
	p := trusttest.New(t)
	good := p.Get(trusttest.Good)
	const proven = year + 24*time.Hour // before the revocation
	unlisted := func(l *x509.RevocationList, _ *x509.RevocationListEntry) { l.RevokedCertificateEntries = nil }
	for _, tc := range []listCase{
		{name: "listed", want: core.Untrusted, detail: "was revoked on"},
		{name: "not listed", change: unlisted, want: core.Trusted, detail: "list 9 of Example Issuing"},
		{name: "another is listed", change: func(_ *x509.RevocationList, e *x509.RevocationListEntry) { e.SerialNumber = big.NewInt(1) }, want: core.Trusted, detail: "list 9 of"},

		// Only its silence grows old.
		{name: "out of date, listed", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ThisUpdate, l.NextUpdate = p.Now.Add(-2*year), p.Now.Add(-year)
		}, want: core.Untrusted, detail: "was revoked on"},
		{name: "out of date, not listed", change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			l.ThisUpdate, l.NextUpdate = p.Now.Add(-2*year), p.Now.Add(-year)
			unlisted(l, e)
		}, want: core.Trusted, detail: "is out of date since"},
		{name: "not valid yet, listed", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ThisUpdate, l.NextUpdate = p.Now.Add(24*time.Hour), p.Now.Add(48*time.Hour)
		}, want: core.Untrusted, detail: "was revoked on"},
		{name: "not valid yet, not listed", change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			l.ThisUpdate, l.NextUpdate = p.Now.Add(24*time.Hour), p.Now.Add(48*time.Hour)
			unlisted(l, e)
		}, want: core.Trusted, detail: "is not valid yet"},

		// Whose list it is.
		{name: "signed by somebody else of that name", issuer: "twin", want: core.Trusted, detail: "is not signed by it"},
		{name: "signed with SHA-1, listed", algorithm: x509.SHA1WithRSA, want: core.Untrusted, detail: "was revoked on"},
		{name: "signed with SHA-1, not listed", algorithm: x509.SHA1WithRSA, change: unlisted, want: core.Trusted, detail: "algorithm that can be forged"},
		{name: "of another CA", issuer: trusttest.Root, want: core.Trusted, detail: "no list of Example Issuing"},

		// When it was signed, and why it was revoked (RFC 3161, section 4).
		{name: "signed before, no reason", at: proven, want: core.Untrusted, detail: "was revoked on"},
		{name: "signed before, unspecified", at: proven, change: because(4), edit: func(list []byte) []byte {
			return bytes.Replace(list, []byte{10, 1, 4}, []byte{10, 1, 0}, 1) // crypto/x509 leaves it out
		}, want: core.Trusted, detail: "list 9 of"},
		{name: "signed before, key compromise", at: proven, change: because(1), want: core.Untrusted, detail: "was revoked on"},
		{name: "signed before, CA compromise", at: proven, change: because(2), want: core.Untrusted, detail: "was revoked on"},
		{name: "signed before, affiliation changed", at: proven, change: because(3), want: core.Trusted},
		{name: "signed before, superseded", at: proven, change: because(4), want: core.Trusted},
		{name: "signed before, cessation", at: proven, change: because(5), want: core.Trusted},
		{name: "signed before, on hold", at: proven, change: because(6), want: core.Untrusted, detail: "was revoked on"},
		{name: "signed before, privilege withdrawn", at: proven, change: because(9), want: core.Untrusted, detail: "was revoked on"},
		{name: "signed after, superseded", at: year - 24*time.Hour, change: because(4), want: core.Untrusted, detail: "was revoked on"},
		{name: "no proven time, superseded", change: because(4), want: core.Untrusted, detail: "was revoked on"},
		{name: "signed before, but after the key was lost", at: proven, change: func(_ *x509.RevocationList, e *x509.RevocationListEntry) {
			lost := trusttest.GeneralizedTime(p.Now.Add(-proven - 24*time.Hour))
			e.ReasonCode = 4
			e.ExtraExtensions = []pkix.Extension{extension(false, lost, 2, 5, 29, 24)}
		}, want: core.Untrusted, detail: "was revoked on"},
		{name: "signed before, and the key was lost at a date that cannot be read", at: proven, change: func(_ *x509.RevocationList, e *x509.RevocationListEntry) {
			e.ReasonCode = 4
			e.ExtraExtensions = []pkix.Extension{extension(false, null, 2, 5, 29, 24)}
		}, want: core.Untrusted, detail: "was revoked on"},
		{name: "listed twice, once harmless", at: proven, change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			e.ReasonCode = 4
			l.RevokedCertificateEntries = []x509.RevocationListEntry{*e, {SerialNumber: e.SerialNumber, RevocationTime: e.RevocationTime}}
		}, want: core.Untrusted, detail: "was revoked on"},

		// Lists that mean something else than they seem to.
		{name: "delta list", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{extension(true, []byte{2, 1, 1}, 2, 5, 29, 27)}
		}, want: core.Trusted, detail: "is a delta list"},
		{name: "indirect list", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{distribution(4)}
		}, want: core.Trusted, detail: "is an indirect list"},
		{name: "entry of another issuer", change: func(_ *x509.RevocationList, e *x509.RevocationListEntry) {
			e.ExtraExtensions = []pkix.Extension{extension(true, []byte{0x30, 0}, 2, 5, 29, 29)}
		}, want: core.Trusted, detail: "is an indirect list"},
		{name: "attribute certificates only", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{distribution(5)}
		}, want: core.Trusted, detail: "is not about certificates of keys"},
		{name: "unknown critical extension", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{extension(true, null, 1, 2, 3)}
		}, want: core.Trusted, detail: "critical extension that is not understood"},
		{name: "unknown critical extension of an entry", change: func(_ *x509.RevocationList, e *x509.RevocationListEntry) {
			e.ExtraExtensions = []pkix.Extension{extension(true, null, 1, 2, 3)}
		}, want: core.Trusted, detail: "critical extension that is not understood"},
		{name: "unknown extension", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{extension(false, null, 1, 2, 3)}
		}, want: core.Untrusted, detail: "was revoked on"},
		{name: "scope that cannot be read", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{extension(true, null, 2, 5, 29, 28)}
		}, want: core.Trusted, detail: "has a scope that cannot be read"},
		{name: "for signers, listed", change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{distribution(1)}
		}, want: core.Untrusted, detail: "was revoked on"},
		{name: "for signers, not listed", change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{distribution(1)}
			unlisted(l, e)
		}, want: core.Trusted, detail: "list 9 of"},
		{name: "for CAs, not listed", change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{distribution(2)}
			unlisted(l, e)
		}, want: core.Trusted, detail: "is not about certificates of this kind"},
		{name: "some reasons, not listed", change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{extension(true, []byte{0x30, 4, 0x83, 2, 6, 0x40}, 2, 5, 29, 28)}
			unlisted(l, e)
		}, want: core.Trusted, detail: "covers some reasons"},
		{name: "with a distribution point, not listed", change: func(l *x509.RevocationList, e *x509.RevocationListEntry) {
			point := append([]byte{0x30, 9, 0xa0, 7, 0xa0, 5, 0x86, 3}, "a:b"...)
			l.ExtraExtensions = []pkix.Extension{extension(true, point, 2, 5, 29, 28)}
			unlisted(l, e)
		}, want: core.Trusted, detail: "list 9 of"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := p.Anchors()
			a.RevocationLists = []*x509.RevocationList{tc.list(t, p), p.Lists()[1]}
			var at time.Time
			if tc.at != 0 {
				at = p.Now.Add(-tc.at)
			}
			for range 2 { // the second time from memory
				v := a.CodeSigner(good.Certificate, good.Chain(), at)
				expect(t, v, tc.want, "")
				for _, c := range v.Checks {
					if c.Name == "revocation" && !strings.Contains(c.Detail, tc.detail) {
						t.Errorf("%s: %q, want %q", c.Outcome, c.Detail, tc.detail)
					}
				}
				checked := strings.HasPrefix(tc.detail, "list 9") || tc.detail == ""
				if got := outcome(v, "revocation"); tc.want == core.Trusted && (got == core.Passed) != checked {
					t.Errorf("the check has %s", got)
				}
			}
		})
	}
}

func because(code int) func(*x509.RevocationList, *x509.RevocationListEntry) {
	return func(_ *x509.RevocationList, e *x509.RevocationListEntry) { e.ReasonCode = code }
}

func (tc listCase) list(t testing.TB, p *trusttest.PKI) *x509.RevocationList {
	t.Helper()
	entry := x509.RevocationListEntry{SerialNumber: p.Get(trusttest.Good).Certificate.SerialNumber, RevocationTime: p.Now.Add(-year)}
	l := x509.RevocationList{Number: big.NewInt(9), ThisUpdate: p.Now.Add(-time.Hour), NextUpdate: p.Now.Add(time.Hour)}
	l.RevokedCertificateEntries = []x509.RevocationListEntry{entry}
	if tc.change != nil {
		tc.change(&l, &entry)
		if len(l.RevokedCertificateEntries) == 1 {
			l.RevokedCertificateEntries[0] = entry
		}
	}
	var issuer *trusttest.Entity
	switch tc.issuer {
	case "":
		issuer = p.Get(trusttest.Issuing)
	case "twin":
		twin := *p.Get(trusttest.Issuing)
		twin.Key = p.Get(trusttest.Stranger).Key
		issuer = forge(t, twin)
	default:
		issuer = p.Get(tc.issuer)
	}
	l.SignatureAlgorithm = tc.algorithm
	made, err := trusttest.List(issuer, l)
	if err == nil && tc.edit != nil {
		made, err = resign(issuer, made, tc.edit)
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// resign signs a list that was edited.
func resign(issuer *trusttest.Entity, l *x509.RevocationList, edit func([]byte) []byte) (*x509.RevocationList, error) {
	n := trusttest.Tree(l.Raw)
	n.Children[0] = trusttest.Tree(edit(l.RawTBSRevocationList))
	sum := sha256.Sum256(n.At(0).DER())
	value, err := issuer.Key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	n.At(2).Body = append([]byte{0}, value...)
	return x509.ParseRevocationList(n.DER())
}

// forge makes a CA of somebody else's key with the same name and key
// identifier.
func forge(t testing.TB, e trusttest.Entity) *trusttest.Entity {
	t.Helper()
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: e.Certificate.Subject, SubjectKeyId: e.Certificate.SubjectKeyId,
		NotBefore: e.Certificate.NotBefore, NotAfter: e.Certificate.NotAfter, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCRLSign | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, e.Key.Public(), e.Key)
	if err == nil {
		e.Certificate, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

// Of several lists one that names the signer is enough, and the newest says
// how fresh the answer is.
func TestSeveralLists(t *testing.T) {
	p := trusttest.New(t)
	good := p.Get(trusttest.Good)
	make := func(number int64, until time.Duration, listed bool) *x509.RevocationList {
		tc := listCase{change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.Number, l.ThisUpdate, l.NextUpdate = big.NewInt(number), p.Now.Add(-year), p.Now.Add(until)
			if !listed {
				l.RevokedCertificateEntries = nil
			}
		}}
		return tc.list(t, p)
	}
	for _, tc := range []struct {
		name   string
		lists  []*x509.RevocationList
		want   core.Standing
		detail string
	}{
		{"none", nil, core.Trusted, "no list of Example Issuing"},
		{"an old one names it", []*x509.RevocationList{make(9, time.Hour, false), make(3, -time.Hour, true)}, core.Untrusted, "was revoked"},
		{"the newest answers", []*x509.RevocationList{make(3, time.Hour, false), make(9, time.Hour, false), make(5, time.Hour, false)}, core.Trusted, "list 9 of"},
		{"the newest in force answers", []*x509.RevocationList{make(3, time.Hour, false), make(9, -time.Hour, false)}, core.Trusted, "list 3 of"},
		{"none is in force", []*x509.RevocationList{make(3, -time.Hour, false)}, core.Trusted, "out of date"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := p.Anchors()
			a.RevocationLists = append(tc.lists, p.Lists()[1])
			v := a.CodeSigner(good.Certificate, good.Chain(), time.Time{})
			expect(t, v, tc.want, "")
			for _, c := range v.Checks {
				if c.Name == "revocation" && !strings.Contains(c.Detail, tc.detail) {
					t.Errorf("%q, want %q", c.Detail, tc.detail)
				}
			}
		})
	}
}

// FuzzRevocationList: whatever is in a list that its issuer did not sign, it
// neither panics nor revokes, unless the signer is pinned and the list names it.
func FuzzRevocationList(f *testing.F) {
	p := trusttest.New(f)
	for _, l := range p.Lists() {
		f.Add(l.Raw)
	}
	for _, tag := range []byte{1, 2, 4, 5} {
		f.Add(listCase{change: func(l *x509.RevocationList, _ *x509.RevocationListEntry) {
			l.ExtraExtensions = []pkix.Extension{distribution(tag)}
		}}.list(f, p).Raw)
	}
	good, pinned := p.Get(trusttest.Good), p.Get(trusttest.GoodEC)
	name := chain.Describe(pinned.Certificate).SHA256
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := x509.ParseRevocationList(der)
		if err != nil {
			return
		}
		a := p.Anchors()
		a.RevocationLists, a.Thumbprints = []*x509.RevocationList{l}, map[string]bool{name: true}
		if l.CheckSignatureFrom(p.Get(trusttest.Issuing).Certificate) != nil {
			if v := a.CodeSigner(good.Certificate, good.Chain(), time.Time{}); v.Standing != core.Trusted {
				t.Fatalf("%s", v.Reason)
			}
		}
		a.CodeSigner(pinned.Certificate, nil, time.Time{})
	})
}

// Anchors are shared by everyone who verifies.
func TestAnchorsAreShared(t *testing.T) {
	p := trusttest.New(t)
	a := p.Anchors()
	var all sync.WaitGroup
	for _, name := range []string{trusttest.Good, trusttest.Revoked, trusttest.Good, trusttest.BelowRevoked} {
		e := p.Get(name)
		all.Go(func() {
			want := core.Untrusted
			if name == trusttest.Good {
				want = core.Trusted
			}
			if v := a.CodeSigner(e.Certificate, e.Chain(), time.Time{}); v.Standing != want {
				t.Errorf("%s: %s", name, v.Reason)
			}
		})
	}
	all.Wait()
}

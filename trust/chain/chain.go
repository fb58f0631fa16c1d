// Package chain decides whether the certificate of a signer leads to what this
// machine was told to trust. It checks no signature over content: that is what
// cms does, and it knows no machine's own store of roots, because a root that
// nobody configured is not trusted here.
package chain

import (
	"crypto/x509"
	"sync"
	"time"

	"kpm/core"
)

// Anchors is what this machine trusts. Nothing in it is added by a signature.
// Once used it is not changed, except for Now.
type Anchors struct {
	CodeRoots  []*x509.Certificate // of signers of code
	TimeRoots  []*x509.Certificate // of time-stampers
	AppleRoots []*x509.Certificate // of Mach-O signers
	// Thumbprints holds signers that are trusted by themselves, as lower-case
	// hex of the SHA-1 or SHA-256 of the certificate. They need no chain, and
	// may call themselves a CA: what that issues is not trusted by it. Key usages
	// that they state, validity and revocation are checked all the same.
	Thumbprints map[string]bool
	// RevocationLists are each used only if its own signature verifies under a
	// certificate of the chain.
	RevocationLists []*x509.RevocationList
	// Now is the clock, time.Now if nil.
	Now func() time.Time

	// lists remembers what was read and verified of RevocationLists: the list
	// to *list, and listKey to string.
	lists sync.Map
}

// Verdict is what came of a signer's certificate. Standing is Trusted or
// Untrusted, never Broken.
type Verdict struct {
	Standing core.Standing
	Reason   string // one sentence, for a person
	// Chain leads from the leaf to the anchor. If none was found it is the
	// leaf alone.
	Chain  []*x509.Certificate
	Checks []core.Check
	// Expired: it is the leaf's own end that came first against it. A proven time
	// before that would have helped.
	Expired bool
}

// Needed are the certificates of the chain that must have come along. The anchor
// need not: it is configured.
func (v Verdict) Needed() []*x509.Certificate {
	if len(v.Chain) < 2 {
		return v.Chain
	}
	return v.Chain[:len(v.Chain)-1]
}

// CodeSigner judges the certificate of who signed code. others are what came
// with the signature, in any order. at is the proven signing time; zero means
// that none is proven, and the certificate is judged as of now.
func (a *Anchors) CodeSigner(leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	return a.judge(&judgement{
		who: "the signer's certificate", roots: a.CodeRoots, pins: a.Thumbprints,
		usage: x509.ExtKeyUsageCodeSigning, entitled: mayCode, lifetime: true,
	}, leaf, others, at)
}

// TimeStamper judges the certificate of a time-stamping authority as of at,
// the time that it claims. One that has expired since is good for what it
// stamped before.
func (a *Anchors) TimeStamper(leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	return a.judge(&judgement{
		who: "the time-stamper's certificate", roots: a.TimeRoots,
		usage: x509.ExtKeyUsageTimeStamping, entitled: mayStamp,
	}, leaf, others, at)
}

// AppleSigner judges the certificate of who signed a Mach-O file. at is as for
// CodeSigner. Below AppleRoots it trusts Developer ID, the Mac App Store and
// Apple itself; development certificates, which anyone gets for the asking, it
// does not.
func (a *Anchors) AppleSigner(leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	return a.judge(&judgement{
		who: "the signer's certificate", roots: a.AppleRoots, pins: a.Thumbprints,
		usage: x509.ExtKeyUsageCodeSigning, entitled: mayCode, apple: true,
	}, leaf, others, at)
}

// judgement is what one kind of signer has to be.
type judgement struct {
	who      string // begins the sentences
	roots    []*x509.Certificate
	pins     map[string]bool
	usage    x509.ExtKeyUsage
	entitled func(leaf *x509.Certificate) (bad string) // completes "who ..."
	lifetime bool                                      // the lifetime signing usage is looked at
	apple    bool                                      // Apple's marker extensions are looked at

	now, asOf time.Time
	proven    bool // asOf is a proven signing time
	verdict   Verdict
}

// skew is how far a time-stamper's clock may be ahead of this machine's.
const skew = 10 * time.Minute

// judge makes every check that can be made, so that the report is complete. The
// first that fails gives the reason.
func (a *Anchors) judge(j *judgement, leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	j.verdict = Verdict{Standing: core.Trusted, Chain: []*x509.Certificate{leaf}}
	j.now = time.Now()
	if a.Now != nil {
		j.now = a.Now()
	}
	j.asOf = j.now
	if !at.IsZero() {
		j.asOf, j.proven = at, true
	}
	byItself := pinned(j.pins, leaf)
	if byItself {
		j.entitled = mayCodePinned
	}
	j.check("key usage", j.entitled(leaf), "")
	j.validity(leaf)
	if byItself {
		j.check("certificate chain", "", "pinned by thumbprint, none needed")
		j.check("key strength", weakness([]*x509.Certificate{leaf}), "")
		a.pinnedRevocation(j, leaf, others)
		return j.done("is trusted by its thumbprint")
	}
	paths, bad := j.paths(leaf, others)
	if bad != "" {
		j.check("certificate chain", bad, "")
		j.verdict.Checks = append(j.verdict.Checks, core.Check{Name: "revocation", Outcome: core.NotChecked, Detail: "without a chain nobody's list applies"})
		return j.done("")
	}
	a.choose(j, paths)
	return j.done("leads to a configured root")
}

// choose judges the paths one by one and keeps the first that nothing speaks
// against, else the first.
func (a *Anchors) choose(j *judgement, paths [][]*x509.Certificate) {
	var first *Verdict
	before := j.verdict
	for _, path := range paths {
		j.verdict = before
		j.verdict.Checks = append([]core.Check(nil), before.Checks...)
		j.verdict.Chain = path
		j.check("certificate chain", j.refusePath(path), describePath(path))
		j.check("key strength", weakness(path), "")
		a.revocation(j, path)
		if j.verdict.Standing == before.Standing {
			return
		}
		if first == nil {
			kept := j.verdict
			first = &kept
		}
	}
	j.verdict = *first
}

// check adds a check that failed if bad is not empty; bad completes a sentence
// about the certificate.
func (j *judgement) check(name, bad, detail string) {
	if bad == "" {
		j.verdict.Checks = append(j.verdict.Checks, core.Check{Name: name, Outcome: core.Passed, Detail: detail})
		return
	}
	sentence := j.who + " " + bad
	j.verdict.Checks = append(j.verdict.Checks, core.Check{Name: name, Outcome: core.Failed, Detail: sentence})
	if j.verdict.Standing == core.Trusted {
		j.verdict.Standing, j.verdict.Reason = core.Untrusted, sentence
	}
}

func (j *judgement) done(good string) Verdict {
	if j.verdict.Standing == core.Trusted {
		j.verdict.Reason = j.who + " " + good
	}
	return j.verdict
}

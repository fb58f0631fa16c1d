// Package chain decides whether the certificate of a signer leads to what this
// machine was told to trust. It checks no signature over content: that is what
// cms does, and it knows no machine's own store of roots, because a root that
// nobody configured vouches for nothing here.
package chain

import (
	"crypto/x509"
	"time"

	"kpm/core"
)

// Anchors is what this machine trusts. Nothing in it is added by a signature.
type Anchors struct {
	CodeRoots  []*x509.Certificate // of signers of code
	TimeRoots  []*x509.Certificate // of time-stampers
	AppleRoots []*x509.Certificate // of Mach-O signers
	// Thumbprints holds signers that are trusted by themselves, as lower-case
	// hex of the SHA-1 or SHA-256 of the certificate. They need no chain;
	// extended key usage, validity and revocation are checked all the same.
	Thumbprints map[string]bool
	// RevocationLists are each used only if its own signature verifies under a
	// certificate of the chain.
	RevocationLists []*x509.RevocationList
	// Now is the clock, time.Now if nil.
	Now func() time.Time
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
}

// CodeSigner judges the certificate of who signed code. others are what came
// with the signature, in any order. at is the proven signing time; zero means
// that none is proven, and the certificate is judged as of now.
func (a *Anchors) CodeSigner(leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	return Verdict{Standing: core.Untrusted, Reason: "not judged yet", Chain: []*x509.Certificate{leaf}}
}

// TimeStamper judges the certificate of a time-stamping authority as of at,
// the time that it claims.
func (a *Anchors) TimeStamper(leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	return Verdict{Standing: core.Untrusted, Reason: "not judged yet", Chain: []*x509.Certificate{leaf}}
}

// AppleSigner judges the certificate of who signed a Mach-O file. at is as for
// CodeSigner.
func (a *Anchors) AppleSigner(leaf *x509.Certificate, others []*x509.Certificate, at time.Time) Verdict {
	return Verdict{Standing: core.Untrusted, Reason: "not judged yet", Chain: []*x509.Certificate{leaf}}
}

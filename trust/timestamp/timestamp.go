// Package timestamp tells when something was signed, if a time-stamping
// authority proves it: RFC 3161 tokens and the countersignatures of PKCS #9
// that came before them. The time that a signer himself claims is not looked
// at.
package timestamp

import (
	"crypto/x509"
	"errors"
	"time"

	"kpm/trust/chain"
	"kpm/trust/cms"
)

// Stamp is a time-stamp over a signature.
type Stamp struct {
	At   time.Time // when, according to the authority; proven only if Verdict is Trusted
	Kind string    // "rfc3161" or "legacy"
	// Verdict judges the authority.
	Verdict chain.Verdict
}

// Of looks for a time-stamp over the signature of s. others are certificates
// that may complete the authority's chain. An error means that there is one
// and that it is malformed, forged or about something else: the signature as a
// whole is Broken then.
func Of(s *cms.Signer, others []*x509.Certificate, a *chain.Anchors) (stamp Stamp, present bool, err error) {
	return Stamp{}, false, errors.ErrUnsupported
}

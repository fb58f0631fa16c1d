// Package timestamp tells when something was signed, if a time-stamping
// authority proves it: RFC 3161 tokens, and the countersignatures of PKCS #9
// that came before them. The time that a signer himself claims is not looked
// at.
package timestamp

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/trust/chain"
	"kpm/trust/cms"
)

// Unsigned attributes that hold time-stamps.
var (
	oidMicrosoftToken   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 3, 3, 1}     // szOID_RFC3161_counterSign
	oidToken            = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14} // RFC 3161, appendix A
	oidCountersignature = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}         // RFC 5652, section 11.4
	oidTSTInfo          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}  // RFC 3161, section 2.4.2
	oidSigningTime      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}         // RFC 5652, section 11.3
)

// Attributes are the unsigned attributes that are read.
func Attributes() []asn1.ObjectIdentifier {
	return []asn1.ObjectIdentifier{oidMicrosoftToken, oidToken, oidCountersignature}
}

// Kinds of time-stamps.
const (
	kindToken  = "rfc3161"
	kindLegacy = "legacy"
)

// checkProof is the check that says why a stamp that is intact proves nothing.
const checkProof = "proof"

// maxStamps bounds how many time-stamps one signature is believed to carry:
// each costs a verification, and anyone can add some.
const maxStamps = 4

// Stamp is a time-stamp over a signature.
type Stamp struct {
	At   time.Time // when, according to the authority; proven only if Verdict is Trusted
	Kind string    // "rfc3161" or "legacy"
	// Verdict judges the authority.
	Verdict chain.Verdict

	uncovered string // parts of it that the authority has not signed
	spare     int    // time-stamps beside it
}

// Of looks for a time-stamp over the signature of s. others are certificates
// that may complete the authority's chain; those of a countersigner have to be
// among them. Of several stamps it returns the first that is Trusted, else the
// first.
//
// An error that wraps cms.ErrMalformed or cms.ErrForged means that one is
// present and broken, or about something else: the signature as a whole is
// Broken then. One that wraps cms.ErrUnsupported means that the only one is
// made with an algorithm that is not verified here: as if there were none.
func Of(s *cms.Signer, others []*x509.Certificate, a *chain.Anchors) (stamp Stamp, present bool, err error) {
	var unsupported error
	n := 0
	for _, attribute := range []struct {
		oid  asn1.ObjectIdentifier
		read func([]byte, *cms.Signer, []*x509.Certificate, *chain.Anchors) (Stamp, error)
	}{{oidMicrosoftToken, token}, {oidToken, token}, {oidCountersignature, countersignature}} {
		for _, value := range s.UnsignedValues(attribute.oid) {
			if n++; n > maxStamps {
				return Stamp{}, true, fmt.Errorf("%w: more than %d time-stamps", cms.ErrMalformed, maxStamps)
			}
			one, err := attribute.read(value.FullBytes, s, others, a)
			switch {
			case errors.Is(err, cms.ErrUnsupported):
				unsupported = err
				continue
			case err != nil:
				return Stamp{}, true, err
			}
			if !present || stamp.Verdict.Standing != core.Trusted && one.Verdict.Standing == core.Trusted {
				stamp, present = one, true
			}
		}
	}
	if !present && unsupported != nil {
		return Stamp{}, true, unsupported
	}
	stamp.spare = n - 1
	return stamp, present, nil
}

// countersignature reads a time-stamp that is a SignerInfo over the signature,
// with the time in its signed attributes.
func countersignature(der []byte, s *cms.Signer, others []*x509.Certificate, a *chain.Anchors) (Stamp, error) {
	by, err := s.Countersignature(der, others)
	if err != nil {
		return Stamp{}, err
	}
	value, ok := by.Attribute(oidSigningTime)
	if !ok {
		return Stamp{}, fmt.Errorf("%w: countersignature without a time", cms.ErrMalformed)
	}
	var at time.Time
	if rest, err := asn1.Unmarshal(value.FullBytes, &at); err != nil || len(rest) > 0 {
		return Stamp{}, fmt.Errorf("%w: countersignature without a time", cms.ErrMalformed)
	}
	stamp := Stamp{At: at.UTC(), Kind: kindLegacy, Verdict: a.TimeStamper(by.Certificate, others, at), uncovered: by.Uncovered()}
	if by.Weak {
		stamp.doubt("the time-stamp was made with an algorithm that can be forged")
	}
	return stamp, nil
}

// Checks are those of the authority's certificate, and what nobody signs. What is
// wrong with the stamp itself is Verdict's reason, and not said again.
func (s *Stamp) Checks() []core.Check {
	var checks []core.Check
	for _, c := range s.Verdict.Checks {
		if c.Name == checkProof && c.Detail == s.Verdict.Reason {
			continue
		}
		c.Name = "time-stamp: " + c.Name
		checks = append(checks, c)
	}
	if s.uncovered != "" {
		checks = append(checks, core.Check{Name: "time-stamp: parts that nobody signs", Outcome: core.NotChecked, Detail: s.uncovered})
	}
	if s.spare > 0 {
		checks = append(checks, core.Check{Name: "time-stamp: others", Outcome: core.NotChecked, Detail: fmt.Sprintf("%d more, which the verdict does not need", s.spare)})
	}
	return checks
}

// doubt makes a stamp that is intact one that proves nothing.
func (s *Stamp) doubt(reason string) {
	s.Verdict.Checks = append(s.Verdict.Checks, core.Check{Name: checkProof, Outcome: core.Failed, Detail: reason})
	if s.Verdict.Standing == core.Trusted {
		s.Verdict.Standing, s.Verdict.Reason = core.Untrusted, reason
	}
}

package chain

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"time"
)

// Extensions of lists and their entries (RFC 5280, sections 5.2 and 5.3).
var (
	oidCRLNumber      = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReasonCode     = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidDeltaCRL       = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidDistribution   = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCertIssuer     = asn1.ObjectIdentifier{2, 5, 29, 29}
	oidAuthorityKey   = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// list is a revocation list, read; who signed it is another question.
type list struct {
	*x509.RevocationList
	refused string // why it says nothing; empty if it does
	partial string // why its silence means nothing; empty if it may
	users   bool   // it covers signers
	issuers bool   // it covers CAs
	order   []int  // entries by serial number
}

// newList reads a list, without looking at its signature. Delta lists and
// indirect lists are refused, and so is one with a critical extension that is
// not understood (RFC 5280, sections 5.2 and 5.3).
func newList(raw *x509.RevocationList) *list {
	l := &list{RevocationList: raw, users: true, issuers: true}
	switch raw.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1: // crypto/x509 verifies them still
		l.partial = "is signed with an algorithm that can be forged"
	}
	for _, e := range raw.Extensions {
		switch {
		case e.Id.Equal(oidDeltaCRL):
			l.refused = "is a delta list, which is not supported"
		case e.Id.Equal(oidDistribution):
			l.distribution(e)
		case e.Critical && !e.Id.Equal(oidCRLNumber) && !e.Id.Equal(oidAuthorityKey):
			l.refused = "has a critical extension that is not understood"
		}
	}
	for i := range raw.RevokedCertificateEntries {
		for _, e := range raw.RevokedCertificateEntries[i].Extensions {
			switch {
			case e.Id.Equal(oidCertIssuer):
				l.refused = "is an indirect list, which is not supported"
			case e.Critical && !e.Id.Equal(oidReasonCode) && !e.Id.Equal(oidInvalidityDate):
				l.refused = "has a critical extension that is not understood"
			}
		}
	}
	l.order = make([]int, len(raw.RevokedCertificateEntries))
	for i := range l.order {
		l.order[i] = i
	}
	slices.SortFunc(l.order, func(a, b int) int { return l.serial(a).Cmp(l.serial(b)) })
	return l
}

func (l *list) serial(i int) *big.Int { return l.RevokedCertificateEntries[i].SerialNumber }

// distribution reads IssuingDistributionPoint (RFC 5280, section 5.2.5), which
// says what a list covers.
func (l *list) distribution(e pkix.Extension) {
	var point struct {
		Name       asn1.RawValue  `asn1:"optional,tag:0"`
		Users      bool           `asn1:"optional,tag:1"`
		Issuers    bool           `asn1:"optional,tag:2"`
		Reasons    asn1.BitString `asn1:"optional,tag:3"`
		Indirect   bool           `asn1:"optional,tag:4"`
		Attributes bool           `asn1:"optional,tag:5"`
	}
	rest, err := asn1.Unmarshal(e.Value, &point)
	switch {
	case err != nil || len(rest) > 0:
		l.refused = "has a scope that cannot be read"
	case point.Indirect:
		l.refused = "is an indirect list, which is not supported"
	case point.Attributes:
		l.refused = "is not about certificates of keys"
	case point.Reasons.BitLength > 0:
		l.partial = "covers some reasons of revocation only"
	}
	l.users, l.issuers = !point.Issuers, !point.Users
}

// silence says why it means nothing that c is not on the list; empty if it does.
func (l *list) silence(c *x509.Certificate, now time.Time) string {
	switch {
	case l.partial != "":
		return l.partial
	case c.IsCA && !l.issuers || !c.IsCA && !l.users:
		return "is not about certificates of this kind"
	case now.Before(l.ThisUpdate.Add(-skew)):
		return "is not valid yet"
	case l.NextUpdate.IsZero():
		return "does not say until when it holds"
	case now.After(l.NextUpdate):
		return "is out of date since " + l.NextUpdate.UTC().Format(time.DateOnly)
	}
	return ""
}

// lookup returns words that complete a sentence if the list revokes c for what
// j is about.
func (l *list) lookup(c *x509.Certificate, j *judgement) string {
	i, found := slices.BinarySearchFunc(l.order, c.SerialNumber, func(i int, n *big.Int) int { return l.serial(i).Cmp(n) })
	for ; found && i < len(l.order) && l.serial(l.order[i]).Cmp(c.SerialNumber) == 0; i++ {
		entry := &l.RevokedCertificateEntries[l.order[i]]
		when := revokedFrom(entry)
		if j.proven && j.asOf.Before(when) && harmless(entry) {
			continue
		}
		return "was revoked on " + when.UTC().Format(time.DateOnly)
	}
	return ""
}

// revokedFrom is the date of revocation, or of the loss of the key if the entry
// gives one that is earlier (RFC 5280, section 5.3.2).
func revokedFrom(entry *x509.RevocationListEntry) time.Time {
	when := entry.RevocationTime
	for _, e := range entry.Extensions {
		var lost time.Time
		if e.Id.Equal(oidInvalidityDate) {
			if _, err := asn1.UnmarshalWithParams(e.Value, &lost, "generalized"); err != nil {
				return time.Time{} // unreadable: revoked from the first
			}
			if lost.Before(when) {
				when = lost
			}
		}
	}
	return when
}

// harmless reports whether a revocation leaves alone what was signed before it.
// RFC 3161, section 4, says this of time-stampers, and it holds of signers all
// the more: only if the reason is given and is one after which nobody but the
// owner had the key. No reason given may be any.
func harmless(entry *x509.RevocationListEntry) bool {
	given := slices.ContainsFunc(entry.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidReasonCode) })
	// unspecified, affiliationChanged, superseded, cessationOfOperation
	return given && slices.Contains([]int{0, 3, 4, 5}, entry.ReasonCode)
}

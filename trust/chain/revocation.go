package chain

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"kpm/core"
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

// list is a revocation list that its issuer has signed.
type list struct {
	*x509.RevocationList
	refused string // why it says nothing; empty if it does
	partial string // why a certificate that is not on it may be revoked all the same
	users   bool   // it covers signers
	issuers bool   // it covers CAs
	order   []int  // entries by serial number
}

type listKey struct {
	list   *x509.RevocationList
	issuer [sha256.Size]byte // of the issuer's certificate
}

// revocation looks up every certificate of the path below the anchor.
func (a *Anchors) revocation(j *judgement, path []*x509.Certificate) {
	if len(path) == 1 {
		j.leave("revocation", "the certificate is configured itself")
		return
	}
	var open, done []string
	for i, c := range path[:len(path)-1] {
		bad, detail, checked := a.revoked(j, c, path[i+1])
		if bad != "" {
			if i > 0 {
				bad = "was issued by one that " + bad
			}
			j.check("revocation", bad, "")
			return
		}
		if checked {
			done = append(done, detail)
		} else {
			open = append(open, detail)
		}
	}
	if len(open) > 0 {
		j.leave("revocation", strings.Join(open, "; "))
		return
	}
	j.check("revocation", "", strings.Join(done, "; "))
}

// revoked asks issuer's lists about c. One list that names c is enough, however
// old: what is out of date is only its silence.
func (a *Anchors) revoked(j *judgement, c, issuer *x509.Certificate) (bad, detail string, checked bool) {
	name := printable(issuer.Subject.CommonName)
	detail = "no list of " + name
	var newest *big.Int
	for _, raw := range a.RevocationLists {
		if !bytes.Equal(raw.RawIssuer, issuer.RawSubject) {
			continue
		}
		l := a.verified(raw, issuer)
		if l.refused != "" {
			if !checked {
				detail = fmt.Sprintf("the list of %s %s", name, l.refused)
			}
			continue
		}
		if bad := l.lookup(c, j); bad != "" {
			return bad, "", true
		}
		fault := l.silence(c, j.now)
		number := l.Number
		if number == nil {
			number = new(big.Int)
		}
		switch {
		case fault == "" && (!checked || number.Cmp(newest) > 0):
			checked, newest = true, number
			detail = fmt.Sprintf("list %v of %s, until %s", number, name, l.NextUpdate.UTC().Format(time.DateOnly))
		case fault != "" && !checked:
			detail = fmt.Sprintf("the list of %s %s", name, fault)
		}
	}
	return "", detail, checked
}

// pinnedRevocation looks up a signer that is trusted without a chain. Its issuer
// may be at hand; if not, a list in its name counts where it names the signer:
// whoever presents the signature must not be able to make a revocation go away
// by leaving the issuer's certificate out.
func (a *Anchors) pinnedRevocation(j *judgement, leaf *x509.Certificate, others []*x509.Certificate) {
	for _, issuer := range slices.Concat(others, j.roots) {
		if !bytes.Equal(issuer.RawSubject, leaf.RawIssuer) || leaf.CheckSignatureFrom(issuer) != nil {
			continue
		}
		if bad, detail, checked := a.revoked(j, leaf, issuer); bad != "" || checked {
			j.check("revocation", bad, detail)
			return
		}
	}
	for _, raw := range a.RevocationLists {
		if !bytes.Equal(raw.RawIssuer, leaf.RawIssuer) {
			continue
		}
		if l := read(raw); l.refused == "" {
			if bad := l.lookup(leaf, j); bad != "" {
				j.check("revocation", bad, "")
				return
			}
		}
	}
	j.leave("revocation", "no list of its issuer that can be verified")
}

// leave records what was not checked.
func (j *judgement) leave(name, detail string) {
	j.verdict.Checks = append(j.verdict.Checks, core.Check{Name: name, Outcome: core.NotChecked, Detail: detail})
}

// verified reads a list if issuer signed it. The answer is kept: large lists
// take longer to verify than most programs.
func (a *Anchors) verified(raw *x509.RevocationList, issuer *x509.Certificate) *list {
	key := listKey{raw, sha256.Sum256(issuer.Raw)}
	if l, ok := a.lists.Load(key); ok {
		return l.(*list)
	}
	l := &list{refused: "is not signed by it"}
	// CheckSignatureFrom wants a CA that may sign lists, and no SHA-1.
	if raw.CheckSignatureFrom(issuer) == nil {
		l = read(raw)
	}
	a.lists.Store(key, l)
	return l
}

// read prepares a list, without looking at its signature. Delta lists and
// indirect lists are refused, and so is one with a critical extension that is
// not understood (RFC 5280, sections 5.2 and 5.3).
func read(raw *x509.RevocationList) *list {
	l := &list{RevocationList: raw, users: true, issuers: true}
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

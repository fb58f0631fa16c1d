package chain

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"time"
)

// oidNameConstraints is that of RFC 5280, section 4.2.1.10.
var oidNameConstraints = asn1.ObjectIdentifier{2, 5, 29, 30}

// paths builds the paths from leaf to a root with crypto/x509, which checks
// signatures, names, basic constraints, path lengths, key and extended key
// usage of issuers, name constraints, policies, and that no critical extension
// is left that nobody understands. bad completes a sentence if there is none.
//
// What x509.Verify leaves open is checked elsewhere: that the leaf has the
// usage itself and is no CA (entitled), that no path rests on keys that can be
// broken (weakness), constraints that are not critical (refusePath), and
// revocation.
func (j *judgement) paths(leaf *x509.Certificate, others []*x509.Certificate) (paths [][]*x509.Certificate, bad string) {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range j.roots {
		roots.AddCert(j.readable(c))
	}
	for _, c := range connected(j.roots, others) {
		between.AddCert(j.readable(c))
	}
	usage := j.usage
	if !slices.Contains(leaf.ExtKeyUsage, usage) {
		usage = x509.ExtKeyUsageAny // the leaf's fault, which entitled has reported, is not its issuers'
	}
	found, err := j.readable(leaf).Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
		// The leaf's dates are a check of their own; here only those of its
		// issuers count, as of when it could be used at all.
		CurrentTime: within(j.asOf, leaf.NotBefore, leaf.NotAfter),
	})
	if err != nil {
		return nil, explain(err, leaf, others)
	}
	for _, path := range found {
		paths = append(paths, j.originals(path, leaf, others))
	}
	return paths, ""
}

// connected returns those of others that a root has issued, by way of others or
// itself. No path goes through any other, and x509.Verify, which looks from the
// leaf upwards, tries a hundred of them before it gives up.
//
// Attack: a signature brings dozens of certificates by the name of the leaf's
// issuer, with the slowest keys there are. Each costs a verification that comes
// to nothing, for every signature and time-stamp in a file, and a good chain is
// not found behind them. Looking down from the roots it is trusted keys that
// verify, and a name that no root has issued costs nothing.
func connected(roots, others []*x509.Certificate) []*x509.Certificate {
	var found []*x509.Certificate
	for above := roots; len(above) > 0; {
		var below, rest []*x509.Certificate
		for _, c := range others {
			if slices.ContainsFunc(above, func(issuer *x509.Certificate) bool {
				return bytes.Equal(c.RawIssuer, issuer.RawSubject) && c.CheckSignatureFrom(issuer) == nil
			}) {
				below = append(below, c)
			} else {
				rest = append(rest, c)
			}
		}
		found, above, others = append(found, below...), below, rest
	}
	return found
}

func within(t, first, last time.Time) time.Time {
	switch {
	case t.Before(first):
		return first
	case t.After(last):
		return last
	}
	return t
}

// readable makes x509.Verify understand what it does not: Apple's markers, which
// are critical and hold nothing but their own presence, and Netscape's
// certificate type, which refusePath looks at.
func (j *judgement) readable(c *x509.Certificate) *x509.Certificate {
	if len(c.UnhandledCriticalExtensions) == 0 {
		return c
	}
	same := *c
	same.UnhandledCriticalExtensions = slices.DeleteFunc(slices.Clone(c.UnhandledCriticalExtensions), func(oid asn1.ObjectIdentifier) bool {
		return j.apple && isAppleMarker(oid) || j.usage == x509.ExtKeyUsageCodeSigning && oid.Equal(oidNetscapeType)
	})
	return &same
}

// originals replaces what readable made.
func (j *judgement) originals(path []*x509.Certificate, leaf *x509.Certificate, others []*x509.Certificate) []*x509.Certificate {
	all := slices.Concat([]*x509.Certificate{leaf}, others, j.roots)
	for i, c := range path {
		for _, o := range all {
			if bytes.Equal(o.Raw, c.Raw) {
				path[i] = o
				break
			}
		}
	}
	return path
}

// explain puts an error of x509.Verify into words that complete a sentence.
func explain(err error, leaf *x509.Certificate, others []*x509.Certificate) string {
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	var extension x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &invalid):
		switch invalid.Reason {
		case x509.Expired:
			return "was issued by one that was not valid then"
		case x509.NotAuthorizedToSign:
			return "was issued by one that may not issue any"
		case x509.TooManyIntermediates:
			return "leads through more issuers than they may have below them"
		case x509.IncompatibleUsage:
			return "was issued by one that may not issue it for this use"
		case x509.CANotAuthorizedForThisName, x509.NameConstraintsWithoutSANs, x509.UnconstrainedName, x509.TooManyConstraints:
			return "has a name that its issuer may not give"
		case x509.CANotAuthorizedForExtKeyUsage:
			return "was issued by one that may not issue it for this use"
		}
		return "is part of a chain that is not valid"
	case errors.As(err, &extension):
		return "leads through a critical extension that is not understood"
	case errors.As(err, &unknown) && forgeableLink(leaf, others):
		return "is, or was issued by one that is, signed with an algorithm that can be forged"
	}
	return "leads to no configured root"
}

// forgeableLink follows the issuers' names upwards to see whether it is the
// algorithm why there is no path. It only chooses the words.
func forgeableLink(leaf *x509.Certificate, others []*x509.Certificate) bool {
	for at, steps := leaf, 0; at != nil && steps <= len(others); steps++ {
		if bytes.Equal(at.RawIssuer, at.RawSubject) {
			return false
		}
		if weakHash(at) {
			return true
		}
		up := slices.IndexFunc(others, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, at.RawIssuer) })
		if up < 0 {
			return false
		}
		at = others[up]
	}
	return false
}

// refusePath checks what crypto/x509 does not look at.
func (j *judgement) refusePath(path []*x509.Certificate) string {
	for _, c := range path[1:] {
		if !plainConstraints(c) {
			return "leads through name constraints that are not understood"
		}
	}
	if j.usage == x509.ExtKeyUsageCodeSigning {
		for i, c := range path {
			if !netscapeAllows(c, i > 0) {
				return "leads through a Netscape certificate type that is not for code"
			}
		}
	}
	if j.apple {
		return appleKind(path)
	}
	return ""
}

// plainConstraints reports whether crypto/x509 has applied all name constraints
// of c. It knows e-mail addresses, DNS names, URIs and IP addresses, and passes
// over others, directory names above all, where the extension is not critical.
func plainConstraints(c *x509.Certificate) bool {
	for _, e := range c.Extensions {
		if !e.Id.Equal(oidNameConstraints) {
			continue
		}
		var constraints struct {
			Permitted []subtree `asn1:"optional,tag:0"`
			Excluded  []subtree `asn1:"optional,tag:1"`
		}
		if rest, err := asn1.Unmarshal(e.Value, &constraints); err != nil || len(rest) > 0 {
			return false
		}
		for _, s := range slices.Concat(constraints.Permitted, constraints.Excluded) {
			switch s.Base.Tag {
			case 1, 2, 6, 7: // rfc822Name, dNSName, URI, iPAddress
			default:
				return false
			}
		}
	}
	return true
}

// subtree is GeneralSubtree; its bounds are never other than the defaults.
type subtree struct{ Base asn1.RawValue }

// describePath names who is above the leaf.
func describePath(path []*x509.Certificate) string {
	names := make([]string, 0, len(path))
	for _, c := range path[1:] {
		name := printable(c.Subject.CommonName)
		if name == "" {
			name = SignerName(c)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

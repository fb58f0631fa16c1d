package macho

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"strings"
	"time"
)

// Subject is the code that a requirement is held against. What is left out is
// not known, which is not the same as absent: a requirement is not met by what
// is not known, and neither is its opposite.
type Subject struct {
	Identifier string
	CDHash     []byte // 20 bytes
	Platform   uint8
	// Chain leads from the signer's certificate to an anchor, leaf first.
	Chain []*x509.Certificate
	// AppleRoots are what "anchor apple" means here.
	AppleRoots []*x509.Certificate
	// Info and Entitlements are property lists, nil if not known.
	Info, Entitlements map[string]any
}

// truth is what can be said of a requirement: what asks for something that is
// not known here (trust settings, notarisation, files of a bundle) is neither
// met nor not met, and its negation is neither too.
type truth int8

const (
	no      truth = -1
	unknown truth = 0
	yes     truth = 1
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// Match says whether s meets the requirement for certain.
func (r *Requirement) Match(s Subject) bool { return r.evaluate(s) == yes }

func (r *Requirement) evaluate(s Subject) truth {
	if r.unknown != nil {
		return no
	}
	return r.root.evaluate(&s)
}

func (e *expression) evaluate(s *Subject) truth {
	if e.match.op > matchAbsent {
		return unknown // a comparison that is not known
	}
	switch e.op {
	case opFalse:
		return no
	case opTrue:
		return yes
	case opAnd:
		return min(e.left.evaluate(s), e.right.evaluate(s))
	case opOr:
		return max(e.left.evaluate(s), e.right.evaluate(s))
	case opNot:
		return -e.left.evaluate(s)
	case opIdentifier:
		return truthOf(e.key == s.Identifier)
	case opCDHash:
		return truthOf(len(s.CDHash) > 0 && e.key == string(s.CDHash))
	case opPlatform:
		return truthOf(e.slot == int32(s.Platform))
	case opInfoKeyValue, opInfoKeyField:
		return e.match.entry(s.Info, e.key)
	case opEntitlementField:
		return e.match.entry(s.Entitlements, e.key)
	case opAppleGenericAnchor:
		return s.appleAnchored()
	case opAppleAnchor:
		return min(s.appleAnchored(), s.appleIntermediate())
	case opAnchorHash, opCertField, opCertGeneric, opCertPolicy, opCertFieldDate:
		return e.certificate(s)
	case opTrustedCert, opTrustedCerts, opNamedAnchor, opNamedCode, opNotarized, opLegacyDevID:
		return unknown // only the Mac that runs it can say
	default:
		if e.left != nil { // skipped
			return e.left.evaluate(s)
		}
		return no
	}
}

// complete says whether the chain goes all the way up.
func (s *Subject) complete() bool {
	if len(s.Chain) == 0 {
		return false
	}
	top := s.Chain[len(s.Chain)-1]
	return bytes.Equal(top.RawIssuer, top.RawSubject) || slices.ContainsFunc(s.AppleRoots, top.Equal)
}

// at returns the certificate in a slot. Slots below zero count from the anchor.
func (s *Subject) at(slot int32) (*x509.Certificate, truth) {
	i := int64(slot)
	if i < 0 {
		if !s.complete() {
			return nil, unknown
		}
		i += int64(len(s.Chain))
	}
	switch {
	case i >= 0 && i < int64(len(s.Chain)):
		return s.Chain[i], yes
	case i < 0 || s.complete():
		return nil, no
	}
	return nil, unknown
}

func (s *Subject) appleAnchored() truth {
	anchor, found := s.at(-1)
	if found != yes || len(s.AppleRoots) == 0 {
		return unknown
	}
	return truthOf(slices.ContainsFunc(s.AppleRoots, anchor.Equal))
}

// appleIntermediate: Apple's own products are issued by this one CA
// (reqinterp.cpp, appleSigned).
func (s *Subject) appleIntermediate() truth {
	c, found := s.at(-2)
	if found != yes {
		return found
	}
	return min(
		match{op: matchEqual, value: "Apple Code Signing Certification Authority"}.field(c, "subject.CN"),
		match{op: matchEqual, value: "Apple Inc."}.field(c, "subject.O"))
}

func (e *expression) certificate(s *Subject) truth {
	c, found := s.at(e.slot)
	if found != yes {
		return found
	}
	switch e.op {
	case opAnchorHash:
		sum := sha1.Sum(c.Raw) // the hash of the requirement language, whatever it is worth
		return truthOf(string(sum[:]) == e.key)
	case opCertField:
		return e.match.field(c, e.key)
	case opCertGeneric:
		_, there := extension(c, e.key)
		return e.match.presence(there)
	case opCertFieldDate:
		value, there := extension(c, e.key)
		return e.match.date(value, there)
	}
	oid, ok := decodeOID(e.key) // opCertPolicy
	return e.match.presence(ok && slices.ContainsFunc(c.PolicyIdentifiers, oid.Equal))
}

// decodeOID reads an object identifier without tag and length.
func decodeOID(content string) (asn1.ObjectIdentifier, bool) {
	if len(content) == 0 || len(content) > 127 {
		return nil, false
	}
	var oid asn1.ObjectIdentifier
	rest, err := asn1.Unmarshal(append([]byte{asn1.TagOID, byte(len(content))}, content...), &oid)
	return oid, err == nil && len(rest) == 0
}

func extension(c *x509.Certificate, content string) ([]byte, bool) {
	oid, ok := decodeOID(content)
	if !ok {
		return nil, false
	}
	i := slices.IndexFunc(c.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oid) })
	if i < 0 {
		return nil, false
	}
	return c.Extensions[i].Value, true
}

// entry matches a value of a property list.
func (m match) entry(list map[string]any, key string) truth {
	if list == nil {
		return unknown
	}
	value, there := list[key]
	if !there {
		return m.presence(false)
	}
	return m.meets(value)
}

// meets matches a value that is there. Of an array, any member will do.
func (m match) meets(value any) truth {
	if m.op == matchAbsent {
		return no
	}
	if m.op == matchExists {
		return truthOf(value != false)
	}
	switch v := value.(type) {
	case string:
		return m.text(v)
	case []any:
		return truthOf(slices.ContainsFunc(v, func(member any) bool { return m.meets(member) == yes }))
	}
	return no
}

// presence matches what is there without a value that could be compared.
func (m match) presence(there bool) truth {
	return truthOf(there && m.op == matchExists || !there && m.op == matchAbsent)
}

func (m match) text(v string) truth {
	switch m.op {
	case matchEqual:
		return truthOf(v == m.value)
	case matchContains:
		return truthOf(strings.Contains(v, m.value))
	case matchBeginsWith:
		return truthOf(strings.HasPrefix(v, m.value))
	case matchEndsWith:
		return truthOf(strings.HasSuffix(v, m.value))
	case matchLessThan:
		return truthOf(compareNumerically(v, m.value) < 0)
	case matchGreaterThan:
		return truthOf(compareNumerically(v, m.value) > 0)
	case matchLessEqual:
		return truthOf(compareNumerically(v, m.value) <= 0)
	case matchGreaterEqual:
		return truthOf(compareNumerically(v, m.value) >= 0)
	}
	return no
}

// date matches an extension that holds a generalized time in a UTF8String.
func (m match) date(value []byte, there bool) truth {
	var text string
	rest, err := asn1.UnmarshalWithParams(value, &text, "utf8")
	at, errTime := time.Parse("20060102150405Z", text)
	if !there || err != nil || len(rest) > 0 || errTime != nil {
		return m.presence(false)
	}
	switch m.op {
	case matchExists:
		return yes
	case matchOn:
		return truthOf(at.Equal(m.when))
	case matchBefore:
		return truthOf(at.Before(m.when))
	case matchAfter:
		return truthOf(at.After(m.when))
	case matchOnOrBefore:
		return truthOf(!at.After(m.when))
	case matchOnOrAfter:
		return truthOf(!at.Before(m.when))
	}
	return no
}

// compareNumerically compares as versions are compared: digits by the number
// that they write (kCFCompareNumerically).
func compareNumerically(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == 0 || y == 0 {
			if a[0] != b[0] {
				return int(a[0]) - int(b[0])
			}
			a, b = a[1:], b[1:]
			continue
		}
		n, m := strings.TrimLeft(a[:x], "0"), strings.TrimLeft(b[:y], "0")
		if len(n) != len(m) {
			return len(n) - len(m)
		}
		if c := strings.Compare(n, m); c != 0 {
			return c
		}
		a, b = a[x:], b[y:]
	}
	return len(a) - len(b)
}

func digits(s string) int {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return i
		}
	}
	return len(s)
}

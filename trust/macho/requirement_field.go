package macho

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// subjectFields are what "certificate[...]" can name (reqinterp.cpp,
// certFieldValue).
func subjectFields(key string) asn1.ObjectIdentifier {
	switch key {
	case "subject.C":
		return asn1.ObjectIdentifier{2, 5, 4, 6}
	case "subject.CN":
		return asn1.ObjectIdentifier{2, 5, 4, 3}
	case "subject.D":
		return asn1.ObjectIdentifier{2, 5, 4, 13}
	case "subject.L":
		return asn1.ObjectIdentifier{2, 5, 4, 7}
	case "subject.O":
		return asn1.ObjectIdentifier{2, 5, 4, 10}
	case "subject.C-O":
		return asn1.ObjectIdentifier{2, 5, 4, 10, 1}
	case "subject.OU":
		return asn1.ObjectIdentifier{2, 5, 4, 11}
	case "subject.C-OU":
		return asn1.ObjectIdentifier{2, 5, 4, 11, 1}
	case "subject.ST":
		return asn1.ObjectIdentifier{2, 5, 4, 8}
	case "subject.C-ST":
		return asn1.ObjectIdentifier{2, 5, 4, 8, 1}
	case "subject.STREET":
		return asn1.ObjectIdentifier{2, 5, 4, 9}
	case "subject.C-STREET":
		return asn1.ObjectIdentifier{2, 5, 4, 9, 1}
	case "subject.UID":
		return asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}
	}
	return nil
}

// field matches a field of the certificate's subject, or any of its e-mail
// addresses. A field that is there twice is not one that can be relied on:
// readers take the first or the last.
func (m match) field(c *x509.Certificate, key string) truth {
	if key == "email" {
		addresses := append(slices.Clone(c.EmailAddresses), attributes(c, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1})...)
		members := make([]any, len(addresses))
		for i, a := range addresses {
			members[i] = a
		}
		if len(members) == 0 {
			return no
		}
		return m.meets(members)
	}
	oid := subjectFields(key)
	if oid == nil {
		return no
	}
	switch values := attributes(c, oid); len(values) {
	case 0:
		return no // not even absent, as with Apple's interpreter
	case 1:
		return m.meets(values[0])
	}
	return unknown
}

// attributes returns the values of an attribute of the subject.
func attributes(c *x509.Certificate, oid asn1.ObjectIdentifier) []string {
	var values []string
	for _, a := range c.Subject.Names {
		if text, ok := a.Value.(string); ok && a.Type.Equal(oid) {
			values = append(values, text)
		}
	}
	return values
}

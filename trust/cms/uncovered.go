package cms

import (
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// Uncovered says what of the message can be changed, added or taken out without
// making the signature another one, beside the unsigned attributes of the types
// understood, each of which stands for itself. used are the certificates of the
// chains that were found.
func (d *SignedData) Uncovered(used []*x509.Certificate, understood []asn1.ObjectIdentifier) string {
	var parts []string
	count, size := 0, 0
	for _, c := range d.Certificates {
		if !slices.ContainsFunc(used, c.Equal) {
			count, size = count+1, size+len(c.Raw)
		}
	}
	if count > 0 {
		noun := "certificates"
		if count == 1 {
			noun = "certificate"
		}
		parts = append(parts, fmt.Sprintf("%d %s that no chain needs (%d bytes)", count, noun, size))
	}
	if d.others > 0 {
		parts = append(parts, fmt.Sprintf("certificates of other kinds (%d bytes)", d.others))
	}
	if d.lists > 0 {
		parts = append(parts, fmt.Sprintf("revocation lists (%d bytes)", d.lists))
	}
	parts = append(parts, unsigned(d.signer.unsigned, understood)...)
	parts = append(parts, "versions, the order of sets, the announced digest algorithms, empty parameters of algorithms")
	return strings.Join(parts, "; ")
}

// Uncovered is the same of a countersignature, which is no message of its own.
func (s *Signer) Uncovered() string {
	parts := append(unsigned(s.Unsigned, nil), "its version, the order of sets, empty parameters of algorithms")
	return strings.Join(parts, "; ")
}

func unsigned(attributes []Attribute, understood []asn1.ObjectIdentifier) []string {
	size := 0
	for _, a := range attributes {
		if slices.ContainsFunc(understood, a.Type.Equal) {
			continue
		}
		for _, v := range a.Values {
			size += len(v.FullBytes)
		}
	}
	if size == 0 {
		return nil
	}
	return []string{fmt.Sprintf("unsigned attributes (%d bytes)", size)}
}

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
		parts = append(parts, fmt.Sprintf("%d certificates that no chain needs (%d bytes)", count, size))
	}
	if d.lists > 0 {
		parts = append(parts, fmt.Sprintf("revocation lists (%d bytes)", d.lists))
	}
	attributes := 0
	for _, a := range d.signer.unsigned {
		if slices.ContainsFunc(understood, a.Type.Equal) {
			continue
		}
		for _, v := range a.Values {
			attributes += len(v.FullBytes)
		}
	}
	if attributes > 0 {
		parts = append(parts, fmt.Sprintf("unsigned attributes (%d bytes)", attributes))
	}
	parts = append(parts, "versions, the order of sets, the announced digest algorithms, empty parameters of algorithms")
	return strings.Join(parts, "; ")
}

package chain

import (
	"crypto/x509"
	"encoding/asn1"
	"slices"
)

// Markers in Apple's certificates (Apple, Worldwide Developer Relations
// Certification Practice Statement; Technical Note TN2206). What follows the
// prefix is 1 for leaves and 2 for issuers.
var (
	appleMarkers     = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6}
	oidDeveloperID   = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 13}
	oidDeveloperIDCA = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 6}
	oidAppStore      = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 1, 9}
	oidAppStoreCA    = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 6, 2, 1}
)

// Apple's own programs have no marker: the code requirement "anchor apple" goes
// by the issuer directly below Apple's root (Security framework, appleSigned in
// reqinterp.cpp). Only the root itself can give this name there.
const (
	appleCodeCA           = "Apple Code Signing Certification Authority"
	appleCodeOrganization = "Apple Inc."
)

func isAppleMarker(oid asn1.ObjectIdentifier) bool {
	return len(oid) > len(appleMarkers) && slices.Equal(oid[:len(appleMarkers)], appleMarkers)
}

// appleKind wants a path that Apple has made for programs that are given to
// others. Below the same roots stand certificates for development, mail and
// payment.
func appleKind(path []*x509.Certificate) string {
	if len(path) >= 3 {
		leaf, issuer, top := path[0], path[1], path[len(path)-2]
		switch {
		case has(leaf, oidDeveloperID) && has(issuer, oidDeveloperIDCA),
			has(leaf, oidAppStore) && has(issuer, oidAppStoreCA),
			top.Subject.CommonName == appleCodeCA && slices.Equal(top.Subject.Organization, []string{appleCodeOrganization}):
			return ""
		}
	}
	return "is neither a Developer ID nor the Mac App Store's nor Apple's own"
}

package authenticode

import (
	"encoding/asn1"
	"strconv"
	"unicode/utf16"

	"kpm/core"
	"kpm/trust/cms"
)

// Signed attributes by which a signer describes itself and its program
// (Authenticode_PE, "SpcSpOpusInfo"; SpcStatementType of wintrust.h).
var (
	oidOpusInfo      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 12}
	oidStatementType = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 11}
	oidIndividual    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 21}
	oidCommercial    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 22}
)

// Unsigned attributes that are looked at: nested signatures and time-stamps.
var oidsUnderstood = []asn1.ObjectIdentifier{
	oidNested,
	{1, 3, 6, 1, 4, 1, 311, 3, 3, 1},     // RFC 3161 token, Microsoft's
	{1, 2, 840, 113549, 1, 9, 16, 2, 14}, // RFC 3161 token, RFC 3161's
	{1, 2, 840, 113549, 1, 9, 6},         // countersignature (PKCS #9)
}

// maxClaim bounds what a signer has to say, in runes.
const maxClaim = 200

// asserted reports what the signer says about the program, which nobody has
// checked.
func asserted(e *core.Evidence, signer *cms.Signer) {
	if value, ok := signer.Attribute(oidOpusInfo); ok {
		name, url := opus(value)
		if name != "" {
			leave(e, "program name", "the signer calls it "+quote(name))
		}
		if url != "" {
			leave(e, "program address", "the signer refers to "+quote(url))
		}
	}
	if value, ok := signer.Attribute(oidStatementType); ok {
		leave(e, "statement type", statement(value))
	}
}

// opus reads an SpcSpOpusInfo, SEQUENCE { programName [0] SpcString OPTIONAL,
// moreInfo [1] SpcLink OPTIONAL }. What cannot be read is left out: it decides
// nothing.
func opus(e asn1.RawValue) (name, url string) {
	parts, err := sequence(e, 0, 2)
	if err != nil {
		return "", ""
	}
	for _, part := range parts {
		if inner, err := constructed(part, asn1.ClassContextSpecific, 0, 1, 1); err == nil {
			name = spcString(inner[0])
		}
		if inner, err := constructed(part, asn1.ClassContextSpecific, 1, 1, 1); err == nil && is(inner[0], asn1.ClassContextSpecific, 0) {
			url = string(inner[0].Bytes)
		}
	}
	return name, url
}

// spcString reads an SpcString, CHOICE { unicode [0] BMPString, ascii [1]
// IA5String }.
func spcString(e asn1.RawValue) string {
	if is(e, asn1.ClassContextSpecific, 1) {
		return string(e.Bytes)
	}
	units := make([]uint16, len(e.Bytes)/2)
	for i := range units {
		units[i] = uint16(e.Bytes[2*i])<<8 | uint16(e.Bytes[2*i+1])
	}
	return string(utf16.Decode(units))
}

// statement reads an SpcStatementType, SEQUENCE OF OBJECT IDENTIFIER. signtool
// calls everyone an individual.
func statement(e asn1.RawValue) string {
	const unreadable = "it cannot be read"
	types, err := sequence(e, 1, 2)
	if err != nil {
		return unreadable
	}
	oid, err := identifier(types[0])
	switch {
	case err != nil:
		return unreadable
	case oid.Equal(oidIndividual):
		return "individual"
	case oid.Equal(oidCommercial):
		return "commercial"
	}
	return oid.String()
}

// quote shows what a stranger wrote: bounded, and with everything escaped that
// could rewrite the line that it is shown in.
func quote(s string) string {
	runes := []rune(s)
	if len(runes) > maxClaim {
		runes = append(runes[:maxClaim], '…')
	}
	return strconv.QuoteToGraphic(string(runes))
}

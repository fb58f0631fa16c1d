package authenticode

import (
	"encoding/asn1"
)

// elements splits der, the value of a constructed element, into at most most
// elements. encoding/asn1's structs would pass over elements that they do not
// name; whoever reads with this sees them all.
func elements(der []byte, most int) ([]asn1.RawValue, error) {
	var all []asn1.RawValue
	for len(der) > 0 {
		if len(all) == most {
			return nil, malformed("the signature holds more than it can mean")
		}
		var e asn1.RawValue
		rest, err := asn1.Unmarshal(der, &e)
		if err != nil {
			return nil, malformed("the signature's encoding is damaged")
		}
		all, der = append(all, e), rest
	}
	return all, nil
}

// sequence splits the universal SEQUENCE e, which must have least to most
// elements.
func sequence(e asn1.RawValue, least, most int) ([]asn1.RawValue, error) {
	return constructed(e, asn1.ClassUniversal, asn1.TagSequence, least, most)
}

// constructed is sequence for any class and tag.
func constructed(e asn1.RawValue, class, tag, least, most int) ([]asn1.RawValue, error) {
	if !is(e, class, tag) || !e.IsCompound {
		return nil, malformed("the signature's content has another structure than it must have")
	}
	all, err := elements(e.Bytes, most)
	if err == nil && len(all) < least {
		err = malformed("the signature's content lacks a part")
	}
	return all, err
}

// whole reads the one element that der consists of.
func whole(der []byte) (asn1.RawValue, error) {
	all, err := elements(der, 1)
	if err != nil {
		return asn1.RawValue{}, err
	}
	if len(all) == 0 {
		return asn1.RawValue{}, malformed("the signature is empty")
	}
	return all[0], nil
}

// octets is the value of the OCTET STRING e.
func octets(e asn1.RawValue) ([]byte, error) {
	if !is(e, asn1.ClassUniversal, asn1.TagOctetString) || e.IsCompound {
		return nil, malformed("the signature's content has another structure than it must have")
	}
	return e.Bytes, nil
}

// identifier reads an OBJECT IDENTIFIER.
func identifier(e asn1.RawValue) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(e.FullBytes, &oid); err != nil || len(rest) > 0 {
		return nil, malformed("the signature names no type where it must")
	}
	return oid, nil
}

// is reports whether e has this class and tag.
func is(e asn1.RawValue, class, tag int) bool { return e.Class == class && e.Tag == tag }

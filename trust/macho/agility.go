package macho

import (
	"bytes"
	"crypto"
	"encoding/asn1"

	"kpm/trust/cms"
)

// The signer's message is over the first code directory. These signed
// attributes name the others (StaticCode.cpp, "hash agility").
var (
	oidAgilityPlist = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 9, 1} // a property list of cdhashes
	oidAgility      = asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 9, 2} // one SEQUENCE of algorithm and digest each
)

var errAgility = malformed("the signer's message is not about the code directories that are there")

// checkAgility makes sure that the message speaks for every code directory:
// the kernel may go by one that the message is not over. The attributes must
// name exactly those that are there, so that none can be added or taken out.
func (sig *signature) checkAgility(signer *cms.Signer) error {
	bound := len(sig.directories) == 1 // by the message itself
	for _, a := range signer.Attributes {
		var named bool
		switch {
		case a.Type.Equal(oidAgilityPlist):
			named = sig.namedInPlist(a.Values)
		case a.Type.Equal(oidAgility):
			named = sig.namedInDigests(a.Values)
		default:
			continue
		}
		if !named {
			return errAgility
		}
		bound = true
	}
	if !bound {
		return malformed("the signer's message leaves open which code directory it is about")
	}
	return nil
}

func (sig *signature) namedInPlist(values []asn1.RawValue) bool {
	if len(values) != 1 || values[0].Class != asn1.ClassUniversal || values[0].Tag != asn1.TagOctetString {
		return false
	}
	list, err := parsePlist(values[0].Bytes)
	if err != nil {
		return false
	}
	hashes, _ := list["cdhashes"].([]any)
	return sig.eachNamed(len(hashes), func(i int, d *directory) bool {
		hash, _ := hashes[i].([]byte)
		return bytes.Equal(hash, d.cdHash())
	})
}

func (sig *signature) namedInDigests(values []asn1.RawValue) bool {
	return sig.eachNamed(len(values), func(i int, d *directory) bool {
		var v struct {
			Algorithm asn1.ObjectIdentifier
			Digest    []byte
		}
		rest, err := asn1.Unmarshal(values[i].FullBytes, &v)
		if err != nil || len(rest) > 0 || !v.Algorithm.Equal(algorithm(d.digest.hash)) {
			return false
		}
		h := d.digest.hash.New()
		h.Write(d.raw)
		return bytes.Equal(v.Digest, h.Sum(nil))
	})
}

// eachNamed: there are as many names as directories, and every directory has
// one. No two directories have the same name, so none is left over.
func (sig *signature) eachNamed(names int, is func(i int, d *directory) bool) bool {
	if names != len(sig.directories) {
		return false
	}
	for _, d := range sig.directories {
		found := false
		for i := 0; i < names && !found; i++ {
			found = is(i, d)
		}
		if !found {
			return false
		}
	}
	return true
}

func algorithm(h crypto.Hash) asn1.ObjectIdentifier {
	switch h {
	case crypto.SHA1:
		return asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	case crypto.SHA256:
		return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	}
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2} // SHA-384
}

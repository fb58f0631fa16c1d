package timestamp

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"kpm/trust/chain"
	"kpm/trust/cms"
)

// Attributes that name the authority's certificate (RFC 2634, section 5.4, and
// RFC 5035, section 3).
var (
	oidSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}
)

// maxAccuracy is how uncertain a time may be that anything rests on.
const maxAccuracy = 10 * time.Minute

// tstInfo is TSTInfo (RFC 3161, section 2.4.2).
type tstInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Serial   *big.Int
	Time     asn1.RawValue
	Accuracy struct {
		Seconds int `asn1:"optional"`
		Millis  int `asn1:"optional,tag:0"`
		Micros  int `asn1:"optional,tag:1"`
	} `asn1:"optional"`
	Ordering   bool             `asn1:"optional"`
	Nonce      *big.Int         `asn1:"optional"` // who asked has compared it
	Authority  asn1.RawValue    `asn1:"optional,tag:0"`
	Extensions []pkix.Extension `asn1:"optional,tag:1"`
}

// token reads a TimeStampToken: SignedData over a TSTInfo whose imprint is of
// the signature that it stamps.
func token(der []byte, s *cms.Signer, others []*x509.Certificate, a *chain.Anchors) (Stamp, error) {
	data, err := cms.Parse(der)
	if err != nil {
		return Stamp{}, err
	}
	if !data.ContentType.Equal(oidTSTInfo) || len(data.ContentDER) == 0 || data.ContentDER[0] != asn1.TagOctetString {
		return Stamp{}, malformed(errors.New("it is no time-stamp token"))
	}
	by, err := data.Verify(nil)
	if err != nil {
		return Stamp{}, err
	}
	if err := named(by); err != nil {
		return Stamp{}, err
	}
	var info tstInfo
	if rest, err := asn1.Unmarshal(data.Content, &info); err != nil || len(rest) > 0 || info.Version != 1 {
		return Stamp{}, malformed(errors.New("TSTInfo cannot be read"))
	}
	at, err := genTime(info.Time)
	if err != nil {
		return Stamp{}, malformed(err)
	}
	hash, err := cms.HashOf(info.Imprint.Algorithm.Algorithm)
	if err != nil {
		return Stamp{}, err
	}
	h := hash.New()
	h.Write(s.Signature)
	// The one thing that ties a token to this signature and no other.
	if !bytes.Equal(h.Sum(nil), info.Imprint.Digest) {
		return Stamp{}, fmt.Errorf("%w: the time-stamp is of another signature", cms.ErrForged)
	}
	stamp := Stamp{At: at, Kind: kindToken, Verdict: a.TimeStamper(by.Certificate, slices.Concat(data.Certificates, others), at)}
	stamp.uncovered = data.Uncovered(stamp.Verdict.Needed(), nil)
	if cms.Forgeable(hash) || by.Weak && !info.uncollidable(by) {
		stamp.doubt("the time-stamp was made with an algorithm that can be forged")
	}
	if accuracy, ok := info.accuracy(); !ok || accuracy > maxAccuracy {
		stamp.doubt("the time-stamp is too inaccurate")
	}
	if slices.ContainsFunc(info.Extensions, func(e pkix.Extension) bool { return e.Critical }) {
		stamp.doubt("the time-stamp has a critical extension that is not understood")
	}
	return stamp, nil
}

func malformed(err error) error {
	return fmt.Errorf("%w: time-stamp: %w", cms.ErrMalformed, err)
}

// genTime reads the time as RFC 3161, section 2.4.2, allows it and encoding/asn1
// does not: with seconds, with any fraction, in UTC.
func genTime(v asn1.RawValue) (time.Time, error) {
	text := string(v.Bytes)
	at, err := time.Parse("20060102150405Z", text)
	if v.Class != asn1.ClassUniversal || v.Tag != asn1.TagGeneralizedTime || err != nil {
		return time.Time{}, errors.New("the time cannot be read")
	}
	return at, nil
}

// accuracy is how far off the time may be; ok says that it is in range.
func (t *tstInfo) accuracy() (accuracy time.Duration, ok bool) {
	c := t.Accuracy
	ok = c.Seconds >= 0 && c.Seconds <= int(maxAccuracy/time.Second) && c.Millis >= 0 && c.Millis < 1000 && c.Micros >= 0 && c.Micros < 1000
	return time.Duration(c.Seconds)*time.Second + time.Duration(c.Millis)*time.Millisecond + time.Duration(c.Micros)*time.Microsecond, ok
}

// maxChosen is how much of a token whoever asks for it may choose besides the
// imprint, in bits.
const maxChosen = 128

// uncollidable reports whether a token that is signed by way of SHA-1 could not
// have been made by asking for another one. Apple's authority signs so to this
// day, over imprints of SHA-256.
//
// Attack: two tokens with one SHA-1, of which the authority signs the harmless
// one. Every collision of SHA-1 that can be computed takes whole blocks of 64
// bytes that the attacker chooses, in what the authority signs too. Who asks
// chooses the imprint, which is 32 bytes, and the nonce; the rest is the
// authority's, its serial number and time in between.
func (t *tstInfo) uncollidable(by *cms.Signer) bool {
	return by.Hash == crypto.SHA1 && !by.WeakKey && len(t.Extensions) == 0 &&
		(t.Nonce == nil || t.Nonce.BitLen() <= maxChosen) && len(t.Imprint.Digest) < 64
}

// certID is ESSCertID, and ESSCertIDv2 without its first element.
type certID struct {
	Hash   []byte
	Issuer issuerSerial `asn1:"optional"`
}

type certIDv2 struct {
	Algorithm pkix.AlgorithmIdentifier `asn1:"optional"`
	Hash      []byte
	Issuer    issuerSerial `asn1:"optional"`
}

type issuerSerial struct {
	Names  []asn1.RawValue
	Serial *big.Int
}

// named checks that the token itself says whose it is (RFC 3161, section 2.4.2,
// and RFC 5816): without that, another certificate for the same key, with other
// rights, could be put in its place.
func named(by *cms.Signer) error {
	found := false
	if value, ok := by.Attribute(oidSigningCertificate); ok {
		var v struct {
			IDs      []certID
			Policies asn1.RawValue `asn1:"optional"`
		}
		if rest, err := asn1.Unmarshal(value.FullBytes, &v); err != nil || len(rest) > 0 || len(v.IDs) == 0 {
			return malformed(errors.New("the signing certificate attribute cannot be read"))
		}
		if !v.IDs[0].is(by.Certificate, crypto.SHA1) {
			return fmt.Errorf("%w: the time-stamp names another certificate", cms.ErrForged)
		}
		found = true
	}
	if value, ok := by.Attribute(oidSigningCertificateV2); ok {
		var v struct {
			IDs      []certIDv2
			Policies asn1.RawValue `asn1:"optional"`
		}
		if rest, err := asn1.Unmarshal(value.FullBytes, &v); err != nil || len(rest) > 0 || len(v.IDs) == 0 {
			return malformed(errors.New("the signing certificate attribute cannot be read"))
		}
		hash := crypto.SHA256
		if first := v.IDs[0]; len(first.Algorithm.Algorithm) > 0 {
			var err error
			if hash, err = cms.HashOf(first.Algorithm.Algorithm); err != nil {
				return err
			}
		}
		if !(certID{v.IDs[0].Hash, v.IDs[0].Issuer}).is(by.Certificate, hash) {
			return fmt.Errorf("%w: the time-stamp names another certificate", cms.ErrForged)
		}
		found = true
	}
	if !found {
		return malformed(errors.New("it does not name its certificate"))
	}
	return nil
}

// is reports whether the identifier is that of c.
func (id certID) is(c *x509.Certificate, hash crypto.Hash) bool {
	h := hash.New()
	h.Write(c.Raw)
	if !bytes.Equal(id.Hash, h.Sum(nil)) {
		return false
	}
	if id.Issuer.Serial == nil {
		return true
	}
	return id.Issuer.Serial.Cmp(c.SerialNumber) == 0 && len(id.Issuer.Names) == 1 &&
		bytes.Equal(id.Issuer.Names[0].Bytes, c.RawIssuer) // directoryName, explicitly tagged
}

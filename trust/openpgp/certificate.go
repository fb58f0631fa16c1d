package openpgp

import (
	"crypto/rsa"
	"fmt"
	"maps"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"kpm/core/wire"
)

// certificate is a primary key with everything that it says about itself: what
// RFC 9580, section 10.1, calls a transferable public key. What others say about
// it is not looked at.
//
// A revocation counts whether or not it verifies. Whoever can write the keyring
// can add keys just as well, and a revocation that is wrong closes, where one
// that was wrongly ignored would open: old ones are of versions, and by
// revokers, that cannot be checked.
type certificate struct {
	primary *packet.PublicKey
	revoked bool
	direct  *packet.Signature // the latest self-signature over the key alone
	userIDs map[string]*userID
	subkeys map[string]*subkey // by fingerprint
}

type userID struct {
	name    string
	self    *packet.Signature // the latest self-signature
	revoked time.Time         // zero if it is not
}

type subkey struct {
	key     *packet.PublicKey
	binding *packet.Signature // the latest one that verifies
	revoked bool
}

// reader fills a certificate, packet by packet. Signatures are about the user
// id or subkey before them; about nothing that counts if other is set, and
// about the primary key if all are unset.
type reader struct {
	*certificate
	userID *userID
	subkey *subkey
	other  bool
}

// add takes the next packet of the certificate.
func (c *reader) add(p rawPacket) error {
	switch p.tag {
	case tagUserID:
		name := string(p.body)
		if c.userIDs[name] == nil {
			c.userIDs[name] = &userID{name: name}
		}
		c.userID, c.subkey, c.other = c.userIDs[name], nil, false
	case tagPublicSubkey:
		key, err := readKey(p)
		if err != nil { // of a kind that cannot have signed anything for us
			c.other = true
			return nil
		}
		id := string(key.Fingerprint)
		if c.subkeys[id] == nil {
			c.subkeys[id] = &subkey{key: key}
		}
		c.userID, c.subkey, c.other = nil, c.subkeys[id], false
	case tagUserAttr:
		c.other = true
	case tagSignature:
		c.sign(p)
	default:
		return fmt.Errorf("%w: a packet of type %d within a key", ErrMalformed, p.tag)
	}
	return nil
}

// signatureType reads the type of a signature packet of version 3 or 4 without
// understanding the rest.
func signatureType(body []byte) packet.SignatureType {
	switch {
	case len(body) > 2 && body[0] <= 3:
		return packet.SignatureType(body[2])
	case len(body) > 1:
		return packet.SignatureType(body[1])
	}
	return packet.SigTypeBinary
}

// sign notes what a signature says about the component that it follows.
func (c *reader) sign(p rawPacket) {
	kind := signatureType(p.body)
	parsed, err := p.parse()
	sig, ok := parsed.(*packet.Signature)
	ok = ok && err == nil && len(p.body) > 0 && p.body[0] == 4
	switch {
	case c.other:
	case c.userID != nil:
		if ok && !sig.CheckKeyIdOrFingerprint(c.primary) {
			return // somebody else's opinion
		}
		if kind == packet.SigTypeCertificationRevocation {
			c.userID.revoke(sig, ok)
		} else if ok {
			c.userID.certify(c.primary, sig)
		}
	case c.subkey != nil:
		sub := c.subkey
		sub.revoked = sub.revoked || kind == packet.SigTypeSubkeyRevocation
		if ok && kind == packet.SigTypeSubkeyBinding && newer(sig, sub.binding) && c.primary.VerifyKeySignature(sub.key, sig) == nil {
			sub.binding = sig
		}
	default:
		c.revoked = c.revoked || kind == packet.SigTypeKeyRevocation
		if ok && kind == packet.SigTypeDirectSignature && newer(sig, c.direct) && c.primary.VerifyDirectKeySignature(sig) == nil {
			c.direct = sig
		}
	}
}

// newer reports whether sig takes the place of old.
func newer(sig, old *packet.Signature) bool {
	return old == nil || sig.CreationTime.After(old.CreationTime)
}

func (u *userID) certify(primary *packet.PublicKey, sig *packet.Signature) {
	switch sig.SigType {
	case packet.SigTypeGenericCert, packet.SigTypePersonaCert, packet.SigTypeCasualCert, packet.SigTypePositiveCert:
		if newer(sig, u.self) && primary.VerifyUserIdSignature(u.name, primary, sig) == nil {
			u.self = sig
		}
	}
}

// revoke notes a revocation; a user id may be certified anew after it.
func (u *userID) revoke(sig *packet.Signature, understood bool) {
	at := time.Unix(1<<40, 0)
	if understood {
		at = sig.CreationTime
	}
	if at.After(u.revoked) {
		u.revoked = at
	}
}

func (u *userID) good() bool {
	return u.self != nil && (u.revoked.IsZero() || u.self.CreationTime.After(u.revoked))
}

// primaryUserID is the one that is marked so, else the one certified last.
func (c *certificate) primaryUserID() *userID {
	marked := func(u *userID) bool { return u.self.IsPrimaryId != nil && *u.self.IsPrimaryId }
	var best *userID
	for _, u := range c.userIDs {
		switch {
		case !u.good():
		case best == nil, marked(u) && !marked(best),
			marked(u) == marked(best) && newer(u.self, best.self):
			best = u
		}
	}
	return best
}

// name is what the key calls its owner.
func (c *certificate) name() string {
	const maxName = 200
	if u := c.primaryUserID(); u != nil {
		return wire.Printable(u.name[:min(len(u.name), maxName)])
	}
	return ""
}

// with merges what two keyrings say about one key, changing neither.
func (c *certificate) with(other *certificate) *certificate {
	joined := &certificate{primary: c.primary, revoked: c.revoked || other.revoked, direct: c.direct,
		userIDs: maps.Clone(c.userIDs), subkeys: maps.Clone(c.subkeys)}
	if other.direct != nil && newer(other.direct, joined.direct) {
		joined.direct = other.direct
	}
	for name, u := range other.userIDs {
		if mine := joined.userIDs[name]; mine != nil {
			merged := *mine
			if u.self != nil && newer(u.self, merged.self) {
				merged.self = u.self
			}
			if u.revoked.After(merged.revoked) {
				merged.revoked = u.revoked
			}
			u = &merged
		}
		joined.userIDs[name] = u
	}
	for id, s := range other.subkeys {
		if mine := joined.subkeys[id]; mine != nil {
			merged := *mine
			if s.binding != nil && newer(s.binding, merged.binding) {
				merged.binding = s.binding
			}
			merged.revoked = merged.revoked || s.revoked
			s = &merged
		}
		joined.subkeys[id] = s
	}
	return joined
}

// keyFault says why a public key is not good enough to sign, or nothing.
func keyFault(key *packet.PublicKey) string {
	switch key.PubKeyAlgo {
	case packet.PubKeyAlgoRSA, packet.PubKeyAlgoRSASignOnly:
		public, ok := key.PublicKey.(*rsa.PublicKey)
		if !ok || public.N.BitLen() < minRSA {
			return fmt.Sprintf("has fewer than %d bits of RSA", minRSA)
		}
	case packet.PubKeyAlgoECDSA, packet.PubKeyAlgoEdDSA, packet.PubKeyAlgoEd25519, packet.PubKeyAlgoEd448:
		switch curve, err := key.Curve(); {
		case err != nil:
			return "is on a curve that is not known"
		case curve != packet.CurveNistP256 && curve != packet.CurveNistP384 && curve != packet.CurveNistP521 &&
			curve != packet.Curve25519 && curve != packet.Curve448:
			return fmt.Sprintf("is on the curve %s", curve)
		}
	default:
		return fmt.Sprintf("is of algorithm %d, expected RSA, ECDSA or EdDSA", key.PubKeyAlgo)
	}
	return ""
}

// minRSA is the least size of a modulus, in bits (NIST SP 800-131A, section 3).
const minRSA = 2048

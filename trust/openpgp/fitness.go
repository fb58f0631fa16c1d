package openpgp

import (
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

// unfit says in one sentence why the key may not sign a file, at the time when
// it says that it did so, or now; nothing if it may.
//
// When the signature was made is only what its maker says. So a key must be
// valid now as well: whoever got hold of one that has expired or was revoked
// can write any date.
func (c candidate) unfit(made, now time.Time) string {
	if why := c.certificate.unfit(made, now); why != "" {
		return "the signer's key " + why
	}
	if c.sub == nil {
		if !c.maySign() {
			return "the signer's key is not for signing"
		}
		return ""
	}
	if why := c.sub.unfit(made, now); why != "" {
		return "the signer's subkey " + why
	}
	return ""
}

// selves are the self-signatures that say what the primary key is for: the one
// over the primary user id, and the one over the key alone.
func (c *certificate) selves() []*packet.Signature {
	var list []*packet.Signature
	if u := c.primaryUserID(); u != nil {
		list = append(list, u.self)
	}
	if c.direct != nil {
		list = append(list, c.direct)
	}
	return list
}

func (c *certificate) unfit(made, now time.Time) string {
	if c.revoked {
		return "is revoked"
	}
	if why := keyFault(c.primary); why != "" {
		return why
	}
	selves := c.selves()
	if len(selves) == 0 {
		return "has no valid user id"
	}
	for _, self := range selves {
		if why := bindingFault(c.primary, self, made, now); why != "" {
			return why
		}
	}
	return ""
}

// maySign reports whether the key says that it is for signing: of the primary
// user id first (RFC 9580, section 5.2.3.10). One that says nothing, as keys of
// the last century do, may not.
func (c *certificate) maySign() bool {
	for _, self := range c.selves() {
		if self.FlagsValid {
			return self.FlagSign
		}
	}
	return false
}

// unfit is about a subkey. That the primary key bound it was verified when it
// was read, and also that the subkey agrees: without its own signature anybody
// could adopt somebody else's signing key, and with it their signatures.
func (s *subkey) unfit(made, now time.Time) string {
	if s.revoked {
		return "is revoked"
	}
	if why := keyFault(s.key); why != "" {
		return why
	}
	switch {
	case s.binding == nil:
		return "is not bound to the key, or not by both"
	case !s.binding.FlagsValid || !s.binding.FlagSign:
		return "is not for signing"
	case s.binding.EmbeddedSignature == nil:
		return "has not agreed to belong to the key"
	}
	if back := s.binding.EmbeddedSignature; !strong(back.Hash) || back.SigExpired(now) || criticalNotation(back) {
		return "has agreed to belong to the key only by a signature that does not hold"
	}
	return bindingFault(s.key, s.binding, made, now)
}

// bindingFault is about a key and a signature that says what it is for and how
// long.
func bindingFault(key *packet.PublicKey, binding *packet.Signature, made, now time.Time) string {
	switch {
	case !strong(binding.Hash):
		return "is described by a signature with " + binding.Hash.String() + ", which can be forged: it needs a new one"
	case criticalNotation(binding):
		return "is described by a signature that is not understood"
	case made.Before(key.CreationTime):
		return "is younger than the signature"
	case binding.SigExpired(now):
		return "is described by a signature that has expired, or is not valid yet"
	case key.KeyExpired(binding, made):
		return "had expired when the signature was made"
	case key.KeyExpired(binding, now):
		return "has expired"
	}
	return ""
}

func criticalNotation(s *packet.Signature) bool {
	for _, notation := range s.Notations {
		if notation.IsCritical {
			return true
		}
	}
	return false
}

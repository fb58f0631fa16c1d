package openpgp

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"kpm/core"

	_ "crypto/sha256" // so that they are available
	_ "crypto/sha3"
	_ "crypto/sha512"
)

// Verify judges a detached signature, binary or armored, over the bytes of
// content, which are read once, and not at all if no key is known that may have
// made the signature. now is the time at which keys and signature must be valid.
//
// Of up to eight signatures one that is trusted is enough, but one that is
// broken breaks all: a signature of someone unknown says nothing, and one of a
// known key that does not fit says that something was changed.
//
// KeyID is the fingerprint of the primary key, by which a key is known however
// its signing subkeys change; of a key that is not known, whatever the
// signature calls it. Time and revocation are worth what Checks says.
func (k *Keyring) Verify(ctx context.Context, content io.Reader, signature []byte, now time.Time) core.Evidence {
	packets, err := readSignatures(signature)
	if err != nil {
		return broken("the signature is malformed", core.Check{Name: checkPackets, Outcome: core.Failed, Detail: err.Error()})
	}
	claims := make([]*claim, len(packets))
	for i, p := range packets {
		claims[i] = k.claim(p)
		if claims[i].evidence.Standing == core.Broken && claims[i].hash == nil {
			return claims[i].evidence
		}
	}
	if err := pour(ctx, claims, content); err != nil {
		return core.Evidence{Kind: core.KindOpenPGP, Rank: core.RankSigned, Standing: core.Untrusted,
			Reason: fmt.Sprintf("the file could not be read to its end: %v", err)}
	}
	var best core.Evidence
	for i, c := range claims {
		if c.hash != nil {
			c.judge(now)
		}
		switch {
		case c.evidence.Standing == core.Broken:
			return c.evidence
		case i == 0, best.Standing != core.Trusted && c.evidence.Standing == core.Trusted:
			best = c.evidence
		}
	}
	return best
}

// Names of checks.
const (
	checkPackets = "signature packets"
	checkDigest  = "file digest"
	checkKey     = "signing key"
	checkTime    = "signing time"
	checkRevoked = "revocation"
)

func broken(reason string, checks ...core.Check) core.Evidence {
	return core.Evidence{Kind: core.KindOpenPGP, Rank: core.RankSigned, Standing: core.Broken, Reason: reason, Checks: checks}
}

// claim is one signature on its way to a verdict.
type claim struct {
	signature *signature
	makers    []candidate
	hash      hash.Hash // of the content; nil if nothing can be verified
	evidence  core.Evidence
}

// claim reads a signature and finds who may have made it.
func (k *Keyring) claim(p rawPacket) *claim {
	s, err := readSignature(p)
	c := &claim{signature: s, evidence: core.Evidence{Kind: core.KindOpenPGP, Rank: core.RankSigned, Standing: core.Untrusted}}
	if errors.Is(err, errUnsupported) {
		c.evidence.Reason = fmt.Sprintf("the signature cannot be checked: %v", err)
		return c
	}
	if err != nil {
		c.evidence = broken("the signature is malformed", core.Check{Name: checkPackets, Outcome: core.Failed, Detail: err.Error()})
		return c
	}
	c.evidence.KeyID = s.maker()
	// Attack: a signature that somebody gave for something else, a key's or a
	// user's, is taken for one over a file.
	switch s.SigType {
	case packet.SigTypeBinary:
	case packet.SigTypeText:
		c.evidence.Reason = "the signature is over text, with line ends that do not count, expected one over bytes"
		return c
	default:
		c.evidence = broken(fmt.Sprintf("the signature is of type %#02x, which is none over a file", int(s.SigType)))
		return c
	}
	if c.makers = k.makers(s); len(c.makers) == 0 {
		c.evidence.Reason = "no configured key made this signature"
		c.note(checkKey, core.Failed, "key "+s.maker())
		return c
	}
	c.evidence.Digest = s.Hash.String()
	h, err := s.PrepareVerify()
	if err != nil {
		c.evidence.Reason = fmt.Sprintf("the signature cannot be checked: %v", err)
		return c
	}
	c.hash = h
	return c
}

func (c *claim) note(name, outcome, detail string) {
	c.evidence.Checks = append(c.evidence.Checks, core.Check{Name: name, Outcome: outcome, Detail: detail})
}

// readSize is how much is read at once, in bytes.
const readSize = 256 << 10

// pour hashes content for every claim that waits for it.
func pour(ctx context.Context, claims []*claim, content io.Reader) error {
	var into []hash.Hash
	for _, c := range claims {
		if c.hash != nil {
			into = append(into, c.hash)
		}
	}
	if len(into) == 0 {
		return nil
	}
	buffer := make([]byte, readSize)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := content.Read(buffer)
		for _, h := range into {
			h.Write(buffer[:n]) // hashes never fail
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// judge decides once the content is hashed.
func (c *claim) judge(now time.Time) {
	s := c.signature
	maker, ok := c.maker()
	if !ok {
		c.evidence.Standing, c.evidence.Reason = core.Broken, "the file was changed after it was signed, or the signature was"
		c.note(checkDigest, core.Failed, "the signature of the key that it names does not verify")
		return
	}
	c.note(checkDigest, core.Passed, s.Hash.String())
	c.evidence.KeyID = fmt.Sprintf("%x", maker.primary.Fingerprint)
	c.evidence.Signer = maker.name()
	c.evidence.Reason = c.unfit(maker, now)
	keyDetail := fmt.Sprintf("%x", maker.key().Fingerprint)
	if c.evidence.Reason != "" {
		c.note(checkKey, core.Failed, keyDetail)
	} else {
		c.note(checkKey, core.Passed, keyDetail)
		c.evidence.Standing = core.Trusted
		c.evidence.Reason = strings.TrimSpace("signed by a trusted key of " + c.evidence.Signer)
	}
	c.note(checkTime, core.NotChecked, "the signer says "+s.CreationTime.UTC().Format(time.RFC3339)+", and nobody else does")
	c.note(checkRevoked, core.NotChecked, "only revocations that the keyring has are known")
}

// maker finds the key under which the signature verifies. The hash is used up.
func (c *claim) maker() (candidate, bool) {
	s := c.signature
	for _, maker := range c.makers {
		// Each try mutates the hash; the left 16 bits are part of the
		// signature packet and the library does not check them.
		left, whole, err := twice(c.hash)
		if err != nil || packet.VerifyHashTag(left, s.Signature) != nil {
			continue
		}
		if maker.key().VerifySignature(whole, s.Signature) == nil {
			return maker, true
		}
	}
	return candidate{}, false
}

// twice returns two copies of h as it is.
func twice(h hash.Hash) (a, b hash.Hash, err error) {
	cloner, ok := h.(hash.Cloner)
	if !ok {
		return nil, nil, fmt.Errorf("a hash of %T that cannot be copied", h)
	}
	if a, err = cloner.Clone(); err != nil {
		return nil, nil, err
	}
	b, err = cloner.Clone()
	return a, b, err
}

// unfit says in one sentence why a signature that verifies is not believed, or
// nothing.
func (c *claim) unfit(maker candidate, now time.Time) string {
	s := c.signature
	for _, notation := range s.Notations {
		if notation.IsCritical {
			return "the signature depends on a notation that is not understood"
		}
	}
	switch made := s.CreationTime; {
	case !strong(s.Hash):
		return fmt.Sprintf("the signature uses %v, with which another file may have the same signature", s.Hash)
	case made.After(now):
		return "the signature says that it was made in the future"
	case s.SigExpired(now):
		return "the signature has expired"
	default:
		return maker.unfit(made, now)
	}
}

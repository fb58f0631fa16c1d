package policy

import (
	"encoding/hex"
	"strings"

	"kpm/core"
	"kpm/core/fault"
)

// signed is the compiled CertificationCheck.
type signed struct {
	entries []signerEntry
	// open is true when an entry could not be read: every program is
	// restricted.
	open bool
}

type signerEntry struct {
	kind signerKind
	text string
}

type signerKind uint8

const (
	bySigned    signerKind = iota // any trusted signer
	bySHA1                        // the signer's certificate
	bySHA256                      // the signer's certificate
	bySPKI                        // the signer's public key
	byAuthority                   // the public key of a CA above the signer
	byKey                         // a key without certificate
	byTeam                        // Apple's team id
	bySubject                     // a name
)

// shortKeyID is the size of the key ids in file signatures of IMA, in digits: 32
// bits, which whoever makes a certificate chooses as they like.
const shortKeyID = 8

// match says how the signers of a program meet the filter. A name alone is
// enough to restrict and too little to grant: any CA gives it to whoever asks
// (CVE-2020-12614). Without a look at signatures nothing is known, and the
// policy restricts everything.
func (f *signed) match(a *asked) strength {
	switch {
	case len(f.entries) == 0 && !f.open:
		return full
	case f.open || !a.q.SignersKnown:
		return restricts
	}
	best := nothing
	for i := range f.entries {
		for j := range a.q.Signers {
			best = max(best, f.entries[i].match(&a.q.Signers[j]))
		}
	}
	return best
}

func (e *signerEntry) match(s *core.Signer) strength {
	met := false
	switch e.kind {
	case bySigned:
		met = true
	case bySHA1:
		met = e.text == s.SHA1
	case bySHA256:
		met = e.text == s.SHA256
	case bySPKI:
		met = e.text == s.SPKI
	case byKey:
		met = e.text == s.KeyID
		if met && len(e.text) <= shortKeyID {
			return restricts
		}
	case byTeam:
		met = e.text == s.TeamID
	case byAuthority:
		for _, authority := range s.Authorities {
			met = met || e.text == authority
		}
	case bySubject:
		if strings.EqualFold(e.text, s.Subject) {
			return restricts
		}
	}
	if met {
		return full
	}
	return nothing
}

// grants reports whether meeting the entry is enough for a grant.
func (e signerEntry) grants() bool {
	return e.kind != bySubject && (e.kind != byKey || len(e.text) > shortKeyID)
}

// compileSigned reads entries: "*", a thumbprint of the signer's certificate
// (SHA-1 or SHA-256 in hex), "spki:HEX", "ca:HEX", "key:HEX", "team:ID" or
// "subject:NAME".
func (c *compiler) compileSigned(p *Policy) (f signed) {
	for i, entry := range p.Certificates {
		c.at("$.CertificationCheck", i)
		e, ok := signerEntryOf(entry)
		if !ok {
			c.doubt(fault.Text(entry), `"*", a thumbprint in hex, "spki:HEX", "ca:HEX", "key:HEX", "team:ID" or "subject:NAME"`,
				"KeeperAdminCLI trust inspect FILE prints them")
			f.open = true
			continue
		}
		switch {
		case e.kind == bySubject:
			c.note(p, c.path, "a signer by name alone", "a certificate, a key, or a CA", "the entry restricts and never grants: others can have the same name")
		case e.kind == byKey && len(e.text) <= shortKeyID:
			c.note(p, c.path, "a key by 32 bits of its id", "spki:HEX, the whole key", "the entry restricts and never grants: others can have the same id")
		}
		f.entries = append(f.entries, e)
	}
	return f
}

func signerEntryOf(entry string) (signerEntry, bool) {
	if entry == "*" {
		return signerEntry{kind: bySigned}, true
	}
	kind, text, _ := strings.Cut(entry, ":")
	text = strings.TrimSpace(text)
	folded := strings.ToLower(text)
	switch strings.ToLower(kind) {
	case "spki":
		return signerEntry{bySPKI, folded}, isHex(folded, 64)
	case "ca":
		if !strings.Contains(text, ":") { // else a thumbprint's first two digits
			return signerEntry{byAuthority, folded}, isHex(folded, 64)
		}
	case "key":
		return signerEntry{byKey, folded}, len(folded) >= shortKeyID && isHex(folded, len(folded))
	case "team":
		return signerEntry{byTeam, text}, core.ValidName(text)
	case "subject":
		return signerEntry{bySubject, text}, text != ""
	}
	// A thumbprint as people paste it, with colons. It comes last: with the "ca"
	// of "ca:" a key that is two digits short would be one, which meets nothing
	// and restricts nobody.
	digest := strings.ToLower(strings.NewReplacer(":", "", " ", "").Replace(entry))
	switch {
	case isHex(digest, 40):
		return signerEntry{bySHA1, digest}, true
	case isHex(digest, 64):
		return signerEntry{bySHA256, digest}, true
	}
	return signerEntry{}, false
}

func isHex(s string, digits int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == digits
}

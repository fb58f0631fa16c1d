package core

import (
	"context"
	"os"
	"time"
)

// Rank orders the evidence about a file's bytes. A rank is never made up of
// several lower ones.
type Rank uint8

// The ranks, weakest first.
const (
	// RankNone: no trusted evidence is about the bytes.
	RankNone Rank = iota
	// RankRecorded: the machine's own package database knows these bytes.
	// Whoever was root once could have written it.
	RankRecorded
	// RankPackaged: a package that a trusted key has signed lists these bytes.
	RankPackaged
	// RankSigned: a trusted signer has signed these bytes.
	RankSigned
)

var rankNames = [...]string{"none", "recorded", "packaged", "signed"}

// String returns the rank's name in appsettings.json.
func (r Rank) String() string { return rankNames[r] }

// MarshalText implements encoding.TextMarshaler.
func (r Rank) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Standing is what came of one piece of evidence.
type Standing uint8

// The standings. Broken is the zero value, so that evidence that nobody has
// finished judging counts against the file.
const (
	// Broken: it claims to be about these bytes and is malformed, forged or
	// about other bytes.
	Broken Standing = iota
	// Untrusted: it is intact and about these bytes, but whoever stands behind
	// it is unknown, expired, revoked, not entitled, or uses an algorithm that
	// can be forged.
	Untrusted
	// Trusted: everything that had to hold does.
	Trusted
)

var standingNames = [...]string{"broken", "untrusted", "trusted"}

// String returns the standing's name.
func (s Standing) String() string { return standingNames[s] }

// MarshalText implements encoding.TextMarshaler.
func (s Standing) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Kinds of evidence.
const (
	KindAuthenticode = "authenticode" // embedded in a PE, MSI, CAB, script or catalog
	KindCatalog      = "catalog"      // a signed catalog lists the file's digest
	KindMachO        = "mach-o"
	KindIMA          = "ima"       // security.ima
	KindEVM          = "evm"       // security.evm
	KindVerity       = "fs-verity" // built-in or IMA signature over the kernel's own digest
	KindOpenPGP      = "openpgp"   // detached
	KindDPKG         = "dpkg"
	KindRPM          = "rpm"
	KindSystem       = "system" // the operating system's own answer about what the file carries: WinVerifyTrust, codesign
	// KindSystemCatalog is its answer about a catalog of its own that lists the
	// file, which an administrator has installed.
	KindSystemCatalog = "system-catalog"
)

// Outcomes of a Check.
const (
	Passed     = "passed"
	Failed     = "failed"
	NotChecked = "not checked"
	// Weak is what is so and could be better: it costs no trust.
	Weak = "weak"
)

// Check is one thing that was looked at, or deliberately was not.
type Check struct {
	Name    string `json:"name"`    // "file digest", "certificate chain", "revocation", ...
	Outcome string `json:"outcome"` // Passed, Failed, NotChecked or Weak
	Detail  string `json:"detail,omitempty"`
}

// Certificate describes an X.509 certificate. Digests are lower-case hex.
type Certificate struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	SHA1      string    `json:"sha1"`   // of the certificate: the published thumbprint
	SHA256    string    `json:"sha256"` // of the certificate
	SPKI      string    `json:"spki"`   // SHA-256 of the public key (RFC 7469, section 2.4)
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// Evidence is one signature over a file, or one record about it.
type Evidence struct {
	Kind     string   `json:"kind"`
	Rank     Rank     `json:"rank"` // what it is worth if Trusted
	Standing Standing `json:"standing"`
	// Reason says in one sentence why it stands so, for a person.
	Reason string `json:"reason"`
	// Place says which of several signatures of a file this is: "signature 2 of 2,
	// nested".
	Place string `json:"place,omitempty"`
	// Signer names who signed: a certificate's organization or common name, an
	// OpenPGP user id, a package. It is self-asserted as long as Standing is
	// not Trusted, and never enough to grant anything (CVE-2020-12614).
	Signer string `json:"signer,omitempty"`
	// Chain leads from the signer's certificate to the anchor, leaf first.
	Chain []Certificate `json:"chain,omitempty"`
	// KeyID is the id of a key that comes without certificate, lower-case hex.
	KeyID string `json:"keyId,omitempty"`
	// Identifier and TeamID are Mach-O's.
	Identifier string `json:"identifier,omitempty"`
	TeamID     string `json:"teamId,omitempty"`
	// Digest is the algorithm that binds the signature to the bytes, "SHA-256".
	Digest string `json:"digest,omitempty"`
	// SignedAt is when it was signed, if a trusted time-stamp proves it; zero
	// otherwise. TimeStamp says how: "rfc3161" or "legacy".
	SignedAt  time.Time `json:"signedAt,omitzero"`
	TimeStamp string    `json:"timeStamp,omitempty"`
	Checks    []Check   `json:"checks,omitempty"`
}

// Provenance is all evidence about a file.
type Provenance struct {
	// Format is what the bytes are: "pe", "msi", "cab", "catalog", "script",
	// "mach-o", "elf", "other".
	Format   string     `json:"format"`
	Evidence []Evidence `json:"evidence"`
}

// Rank is the best rank of Trusted evidence. Broken evidence leaves nothing of
// it: of a file that somebody has tampered with nothing else is believed.
func (p Provenance) Rank() Rank {
	best := RankNone
	for _, e := range p.Evidence {
		switch e.Standing {
		case Broken:
			return RankNone
		case Trusted:
			best = max(best, e.Rank)
		}
	}
	return best
}

// Signatures tells who has signed a file.
type Signatures interface {
	// Provenance judges the bytes behind f, which is open for reading; it does
	// not move f's offset. origin is the file that f's bytes were copied from,
	// for what lies beside the bytes (attributes, packages); f itself if nil.
	// An error means that the bytes could not be read to the end, not that a
	// signature is bad.
	Provenance(ctx context.Context, f, origin *os.File) (Provenance, error)
}

// Signer is the certificate or key of a Trusted signature over a program, as
// policy sees it. Digests are lower-case hex; what does not apply is empty.
type Signer struct {
	Subject string `json:"subject,omitempty"` // a name: narrows, never grants (CVE-2020-12614)
	SHA1    string `json:"sha1,omitempty"`    // of the signer's certificate
	SHA256  string `json:"sha256,omitempty"`
	SPKI    string `json:"spki,omitempty"` // of the signer's public key
	// Authorities are the public keys of the CAs above, nearest first.
	Authorities []string `json:"authorities,omitempty"`
	KeyID       string   `json:"keyId,omitempty"`
	TeamID      string   `json:"teamId,omitempty"`
}

// maxSigners and maxAuthorities bound what is told of a file: whoever signs it
// chooses how often, and it all goes into the journal.
const (
	maxSigners     = 8
	maxAuthorities = 8
)

// Signers returns who has signed the file, as far as they are Trusted, at most
// 8; none if any evidence is Broken.
func (p Provenance) Signers() []Signer {
	if p.Rank() != RankSigned {
		return nil
	}
	var list []Signer
	for _, e := range p.Evidence {
		if e.Standing != Trusted || e.Rank != RankSigned || len(list) == maxSigners {
			continue
		}
		s := Signer{Subject: e.Signer, KeyID: e.KeyID, TeamID: e.TeamID}
		for i, c := range e.Chain {
			if i == 0 {
				s.SHA1, s.SHA256, s.SPKI = c.SHA1, c.SHA256, c.SPKI
				continue
			}
			if i > maxAuthorities {
				break
			}
			s.Authorities = append(s.Authorities, c.SPKI)
		}
		list = append(list, s)
	}
	return list
}

package macho

import (
	"fmt"

	"kpm/core"
)

// part is what came of one slice of a fat file.
type part struct {
	name     string
	evidence *core.Evidence // nil: the slice is not signed
}

// merge makes one piece of evidence of a fat file's. It is as good as the worst
// slice: whoever runs the file does not choose which one runs. A good slice
// beside one that is unsigned, or that someone else signed, vouches for
// nothing.
func merge(parts []part) core.Evidence {
	worst := parts[0]
	for _, p := range parts[1:] {
		if rank(p) < rank(worst) {
			worst = p
		}
	}
	var merged core.Evidence
	if worst.evidence != nil {
		merged = *worst.evidence
		merged.Reason = worst.name + ": " + merged.Reason
	} else {
		merged = untrusted(fmt.Sprintf("its %s part is not signed", worst.name))
	}
	merged.Checks = nil
	for _, p := range parts {
		if p.evidence == nil {
			merged.Checks = append(merged.Checks, core.Check{Name: p.name + ": signature", Outcome: core.Failed, Detail: "there is none"})
			continue
		}
		for _, c := range p.evidence.Checks {
			c.Name = p.name + ": " + c.Name
			merged.Checks = append(merged.Checks, c)
		}
		if merged.Standing == core.Trusted && !sameSigner(p.evidence, parts[0].evidence) {
			checks := merged.Checks
			merged = untrusted("its parts were not all signed by the same signer under the same identifier")
			merged.Checks = checks
		}
		// All of it was signed only when the last part was.
		if merged.Standing == core.Trusted && p.evidence.SignedAt.After(merged.SignedAt) && !merged.SignedAt.IsZero() {
			merged.SignedAt, merged.TimeStamp = p.evidence.SignedAt, p.evidence.TimeStamp
		}
	}
	for _, p := range parts {
		if merged.Standing == core.Trusted && p.evidence.SignedAt.IsZero() {
			merged.SignedAt, merged.TimeStamp = p.evidence.SignedAt, ""
		}
	}
	if merged.Standing == core.Trusted {
		merged.Reason = worst.evidence.Reason
	}
	return merged
}

// rank orders parts by what they take away: Broken most, then no signature.
func rank(p part) int {
	switch {
	case p.evidence == nil:
		return 1
	case p.evidence.Standing == core.Broken:
		return 0
	case p.evidence.Standing == core.Untrusted:
		return 2
	}
	return 3
}

// sameSigner: the same identifier and team, or, where no team is named, the
// same certificate.
func sameSigner(a, b *core.Evidence) bool {
	if a.Identifier != b.Identifier || a.TeamID != b.TeamID {
		return false
	}
	if a.TeamID != "" {
		return true
	}
	return len(a.Chain) > 0 && len(b.Chain) > 0 && a.Chain[0].SHA256 == b.Chain[0].SHA256
}

func untrusted(reason string) core.Evidence {
	return core.Evidence{Kind: core.KindMachO, Rank: core.RankSigned, Standing: core.Untrusted, Reason: reason}
}

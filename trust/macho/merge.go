package macho

import (
	"fmt"
	"slices"
	"time"

	"kpm/core"
)

// part is what came of one slice of a fat file.
type part struct {
	name     string
	evidence *core.Evidence // nil: the slice is not signed
}

// merge makes one piece of evidence of a fat file's. It is as good as the worst
// slice: whoever runs the file does not choose which one runs. A good slice
// beside one that is unsigned, or that someone else signed, proves
// nothing.
func merge(parts []part) core.Evidence {
	worst := parts[0]
	for _, p := range parts[1:] {
		if rank(p) < rank(worst) {
			worst = p
		}
	}
	var merged core.Evidence
	switch first := parts[0].evidence; {
	case worst.evidence == nil:
		merged = untrusted(fmt.Sprintf("its %s part is not signed", worst.name))
	case worst.evidence.Standing != core.Trusted:
		merged = *worst.evidence
		merged.Reason = worst.name + ": " + merged.Reason
	case slices.ContainsFunc(parts, func(p part) bool { return !sameSigner(p.evidence, first) }):
		merged = untrusted("its parts were not all signed by the same signer")
	default:
		merged = *first
		if slices.ContainsFunc(parts, func(p part) bool { return p.evidence.Identifier != first.Identifier }) {
			merged.Identifier = "" // it has one for each part, which its checks name
		}
		merged.SignedAt, merged.TimeStamp = lastSigned(parts)
	}
	merged.Checks = nil
	for _, p := range parts {
		if p.evidence == nil {
			merged.Checks = append(merged.Checks, core.Check{Name: p.name + ": signature", Outcome: core.Failed, Detail: "there is none"})
			continue
		}
		merged.Checks = append(merged.Checks, core.Check{Name: p.name + ": identifier", Outcome: core.Passed, Detail: p.evidence.Identifier})
		for _, c := range p.evidence.Checks {
			c.Name = p.name + ": " + c.Name
			merged.Checks = append(merged.Checks, c)
		}
	}
	return merged
}

// lastSigned is when all of the file had been signed: with the last part. It is
// not known if it is not of every part.
func lastSigned(parts []part) (at time.Time, how string) {
	for _, p := range parts {
		switch e := p.evidence; {
		case e.SignedAt.IsZero():
			return time.Time{}, ""
		case e.SignedAt.After(at):
			at, how = e.SignedAt, e.TimeStamp
		}
	}
	return at, how
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

// sameSigner: the same team and certificate. The identifiers may differ: tools
// that sign the parts one by one name each by its file. They say what a program
// is called and not whose it is.
func sameSigner(a, b *core.Evidence) bool {
	return a.TeamID == b.TeamID && len(a.Chain) > 0 && len(b.Chain) > 0 && a.Chain[0].SHA256 == b.Chain[0].SHA256
}

func untrusted(reason string) core.Evidence {
	return core.Evidence{Kind: core.KindMachO, Rank: core.RankSigned, Standing: core.Untrusted, Reason: reason}
}

package provenance

import (
	"errors"
	"fmt"

	"kpm/core"
)

// ErrNotVouched means that nobody whom this machine trusts vouches for a
// program as a Requirement asks.
var ErrNotVouched = errors.New("not signed as required")

// Requirement is what a kind of program needs.
type Requirement struct{ Rank core.Rank }

// Check returns nil if p reaches the rank, else ErrNotVouched with what is
// missing and why.
func (r Requirement) Check(p core.Provenance) error {
	if p.Rank() >= r.Rank {
		return nil
	}
	return fmt.Errorf("%w: it needs rank %q (appsettings.json, \"Trust\") and has %q: %s", ErrNotVouched, r.Rank, p.Rank(), Why(p))
}

// Why says in one sentence why p has no higher rank.
func Why(p core.Provenance) string {
	var best *core.Evidence
	for i := range p.Evidence {
		e := &p.Evidence[i]
		if e.Standing == core.Broken {
			return e.Kind + ": " + e.Reason
		}
		if best == nil || e.Rank > best.Rank {
			best = e
		}
	}
	if best == nil {
		return "it is not signed, and no package lists it"
	}
	return best.Kind + ": " + best.Reason
}

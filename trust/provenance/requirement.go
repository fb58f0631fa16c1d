package provenance

import (
	"errors"
	"fmt"

	"kpm/core"
)

// ErrNotSigned means that no trusted evidence about a program has the rank
// that a Requirement asks for.
var ErrNotSigned = errors.New("not signed as required")

// Requirement is what a kind of program needs.
type Requirement struct{ Rank core.Rank }

// Check returns nil if p reaches the rank, else ErrNotSigned with what is
// missing and why.
func (r Requirement) Check(p core.Provenance) error {
	if p.Rank() >= r.Rank {
		return nil
	}
	return fmt.Errorf("%w: it needs rank %q (appsettings.json, \"Trust\") and has %q: %s", ErrNotSigned, r.Rank, p.Rank(), Why(p))
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

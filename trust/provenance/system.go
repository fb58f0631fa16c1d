package provenance

import (
	"context"
	"errors"
	"fmt"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// askSystem takes the operating system's own answer, and holds it against
// ours. Both have to trust a signature that the file carries; that one calls broken what
// the other does not is a dispute, and then nothing about the file is believed.
// Attack: a file that one parser reads as signed and the other, which then runs
// it, as something else (MS13-098).
func (v *Verifier) askSystem(ctx context.Context, f *os.File, path string, p *core.Provenance) error {
	theirs, err := v.cfg.System.Verdict(ctx, f)
	switch {
	case errors.Is(err, port.ErrNoAttribute), errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil:
		return err
	}
	disputed := reconcile(p, theirs)
	if disputed != nil && v.cfg.Disputed != nil {
		v.cfg.Disputed(path, *disputed, theirs)
	}
	return nil
}

// reconcile adds the system's evidence to p and returns ours if it is disputed.
func reconcile(p *core.Provenance, theirs core.Evidence) (disputed *core.Evidence) {
	embedded, trusted := false, false
	for i := range p.Evidence {
		ours := &p.Evidence[i]
		if ours.Kind != core.KindAuthenticode && ours.Kind != core.KindMachO {
			continue
		}
		embedded = true
		if (ours.Standing == core.Broken) != (theirs.Standing == core.Broken) {
			copied := *ours
			disputed = &copied
		}
		if ours.Standing == core.Trusted && theirs.Standing != core.Trusted {
			ours.Standing, ours.Reason = core.Untrusted, "the operating system does not trust it: "+theirs.Reason
		}
		trusted = trusted || ours.Standing == core.Trusted
	}
	// Attack: a signature of a kind that only the operating system reads (MSIX,
	// documents, attributes on macOS), by somebody with a certificate of any CA
	// in the world. The system trusts them all; here nobody has named them.
	if theirs.Standing == core.Trusted && !trusted && (embedded || theirs.Kind != core.KindSystemCatalog) {
		theirs.Standing, theirs.Reason = core.Untrusted, "the operating system trusts it, and our own check does not"
	}
	p.Evidence = append(p.Evidence, theirs)
	if disputed != nil {
		p.Evidence = append(p.Evidence, core.Evidence{
			Kind: core.KindSystem, Rank: core.RankSigned, Standing: core.Broken,
			Reason: fmt.Sprintf("the operating system says %s (%s), our own check %s (%s): neither is believed",
				theirs.Standing, theirs.Reason, disputed.Standing, disputed.Reason),
		})
	}
	return disputed
}

package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kpm/core"
)

// ErrUnknown is wrapped when nothing was taken from somebody, or nothing is spared.
var ErrUnknown = core.NewError(core.NotFound, "nothing was taken from that user")

// Return gives somebody back what policy has taken, and has policy leave it until
// Resume. who is a name, or "#" and an id.
func (b *Book) Return(ctx context.Context, who string, by core.Principal) error {
	b.round.Lock()
	defer b.round.Unlock()
	b.mu.Lock()
	taken := slices.DeleteFunc(slices.Clone(b.kept.Taken), func(t Taken) bool { return !named(t.Place, who) })
	b.mu.Unlock()
	if len(taken) == 0 {
		return fmt.Errorf("user %.80q: %w", who, ErrUnknown)
	}
	err := b.change(func(k *kept) {
		for _, t := range taken {
			if !k.spared(t.Place) {
				k.Spared = append(k.Spared, Spared{Place: t.Place, By: by.String(), At: time.Now().UTC().Round(0)})
			}
		}
	})
	errs := []error{err}
	if err == nil {
		for _, t := range taken {
			errs = append(errs, b.returnOne(ctx, t, "an administrator has given it back", by.String()))
		}
	}
	return errors.Join(errs...)
}

// Resume has policy take from somebody again what an administrator has given back.
func (b *Book) Resume(who string) error {
	found := false
	err := b.change(func(k *kept) {
		k.Spared = slices.DeleteFunc(k.Spared, func(s Spared) bool {
			is := named(s.Place, who)
			found = found || is
			return is
		})
	})
	if err == nil && !found {
		err = fmt.Errorf("user %.80q: %w", who, ErrUnknown)
	}
	b.Stir()
	return err
}

func named(p Place, who string) bool { return p.Name == who || "#"+string(p.User) == who }

// Everything ends what was given and gives back what was taken: as it is before the
// agent is removed. What fails for one is no other's loss.
func (b *Book) Everything(ctx context.Context, why string) error {
	b.round.Lock()
	defer b.round.Unlock()
	b.mu.Lock()
	taken, given := slices.Clone(b.kept.Taken), slices.Clone(b.kept.Given)
	b.mu.Unlock()
	errs := []error{b.endAll(ctx, why)}
	for _, t := range taken {
		errs = append(errs, b.returnOne(ctx, t, why, ""))
	}
	for _, g := range given {
		errs = append(errs, b.disarm(ctx, g))
	}
	return errors.Join(errs...)
}

// disarm takes a grant's alarm back.
//
// Attack: the agent is removed, somebody puts a program of their own where its was,
// and an alarm that is left runs that as the administrator.
func (b *Book) disarm(ctx context.Context, g Given) error {
	if b.cfg.Alarms == nil || !g.Put {
		return nil
	}
	if err := b.cfg.Alarms.Clear(ctx, g.Grant); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("rights: an alarm is left: %w", err)
	}
	return nil
}

// Overdue ends what is over, and does nothing else: it is what an alarm has run.
func (b *Book) Overdue(ctx context.Context) error {
	b.round.Lock()
	defer b.round.Unlock()
	return b.endGiven(ctx)
}

func (b *Book) returnOne(ctx context.Context, t Taken, why, by string) error {
	account, err := b.account(t.Place)
	if errors.Is(err, core.ErrNoAccount) {
		return b.forget(t.Place)
	}
	if err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	return b.giveBack(ctx, standing{Place: t.Place, account: account, taken: true}, why, by)
}

package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/port"
)

// spareTime is by how much an alarm is later than the service itself would be.
const spareTime = 15 * time.Second

// Give has somebody be an administrator until grant id ends, at the latest in that
// time. Whoever is one already is given nothing. It is in the file when Give returns;
// a round does it. For a grant that was given before it changes the time.
func (b *Book) Give(id string, user core.UserID, name string, policy core.PolicyRef, left time.Duration) error {
	boot, now, err := b.cfg.Clock.Now()
	if err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	at := time.Now().UTC().Round(0)
	defer b.Stir()
	return b.change(func(k *kept) {
		known := false
		for i := range k.Given {
			if g := &k.Given[i]; g.Grant == id && g.Over == "" {
				g.Boot, g.Ends, g.Until, known = boot, now+left, at.Add(left), true
			}
		}
		if known {
			return
		}
		for _, group := range b.cfg.Groups {
			k.Given = append(k.Given, Given{
				Place: Place{User: user, Name: name, Group: group}, Grant: id, Policy: policy, Boot: boot, Ends: now + left, At: at, Until: at.Add(left),
			})
		}
	})
}

// End says that a grant has ended, and why. A round does the rest.
func (b *Book) End(id, why string) error {
	b.mu.Lock()
	known := slices.ContainsFunc(b.kept.Given, func(g Given) bool { return g.Grant == id && g.Over == "" })
	b.mu.Unlock()
	if !known {
		return nil
	}
	defer b.Stir()
	return b.change(func(k *kept) {
		for i := range k.Given {
			if g := &k.Given[i]; g.Grant == id && g.Over == "" {
				g.Over = why
			}
		}
	})
}

// Only ends what belongs to no grant among those that there are. It is called once,
// when these are known.
func (b *Book) Only(grants []string) error {
	b.mu.Lock()
	given := slices.Clone(b.kept.Given)
	b.mu.Unlock()
	var errs []error
	for _, g := range given {
		if !slices.Contains(grants, g.Grant) {
			errs = append(errs, b.End(g.Grant, "its grant is not there any more"))
		}
	}
	return errors.Join(errs...)
}

// endGiven takes out whose time is over.
func (b *Book) endGiven(ctx context.Context) error {
	boot, now, err := b.cfg.Clock.Now()
	if err != nil {
		return b.endAll(ctx, "there is no clock to go by") // it must end
	}
	b.mu.Lock()
	given := slices.Clone(b.kept.Given)
	b.mu.Unlock()
	var errs []error
	for _, g := range given {
		why := g.Over
		switch {
		case why != "":
		case g.Boot != boot:
			why = "the machine was restarted"
		case now >= g.Ends:
			why = "its time is over"
		default:
			continue
		}
		errs = append(errs, b.endOne(ctx, g, why))
	}
	return errors.Join(errs...)
}

func (b *Book) endAll(ctx context.Context, why string) error {
	b.mu.Lock()
	given := slices.Clone(b.kept.Given)
	b.mu.Unlock()
	var errs []error
	for _, g := range given {
		errs = append(errs, b.endOne(ctx, g, why))
	}
	return errors.Join(errs...)
}

// endOne takes somebody out of a group whom a grant has put in, and then drops it
// from the file. Somebody whose place is given by another grant too stays so long.
func (b *Book) endOne(ctx context.Context, g Given, why string) error {
	b.mu.Lock()
	another := slices.ContainsFunc(b.kept.Given, func(o Given) bool { return o.Grant != g.Grant && o.is(g.Place) && o.Over == "" })
	b.mu.Unlock()
	account, err := b.account(g.Place)
	switch {
	case errors.Is(err, core.ErrNoAccount): // nobody has anything
	case err != nil:
		return fmt.Errorf("rights: %w", err)
	case g.Put && !g.Stays && !another:
		if err := b.cfg.Membership.Set(ctx, g.Group, account, false); err != nil && !errors.Is(err, core.ErrNoGroup) {
			return fmt.Errorf("rights: the time of %s in %s is over, and it could not be ended: %w", g.Name, g.Group, err)
		}
	}
	if err := b.change(func(k *kept) { k.dropGiven(g) }); err != nil {
		return err
	}
	delete(b.armed, g.Grant)
	if b.cfg.Record != nil { // an alarm does not clear itself
		if err := b.disarm(ctx, g); err != nil {
			b.cfg.Log.Warn("it will find nothing to do", "grant", g.Grant, "error", err)
		}
	}
	if !g.Put {
		return nil
	}
	return b.record(Change{What: TimeOver, Place: g.Place, Policies: []core.PolicyRef{g.Policy}, Grant: g.Grant, Why: why})
}

// putGiven puts in who is given a place and does not have it. Who cannot be, since
// there is no such group or account, is not given it.
func (b *Book) putGiven(ctx context.Context) error {
	b.mu.Lock()
	given := slices.Clone(b.kept.Given)
	b.mu.Unlock()
	var errs []error
	for _, g := range given {
		if g.Over == "" && !g.Stays {
			errs = append(errs, b.putOne(ctx, g))
		}
	}
	return errors.Join(errs...)
}

func (b *Book) putOne(ctx context.Context, g Given) error {
	drop := func(err error) error {
		return errors.Join(err, b.change(func(k *kept) { k.dropGiven(g) }))
	}
	account, err := b.account(g.Place)
	if errors.Is(err, core.ErrNoAccount) {
		return drop(fmt.Errorf("rights: %w", err))
	}
	if err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	members, err := b.cfg.Membership.Members(ctx, g.Group)
	if errors.Is(err, core.ErrNoGroup) {
		return drop(nil)
	}
	if err != nil {
		return fmt.Errorf("rights: %w", err)
	}
	is := slices.ContainsFunc(members, func(m port.Member) bool { return m.Account.User == g.User })
	if !g.Put {
		b.mu.Lock()
		another := slices.ContainsFunc(b.kept.Given, func(o Given) bool { return o.Grant != g.Grant && o.is(g.Place) && o.Put })
		b.mu.Unlock()
		if is && !another {
			return drop(nil) // by themselves: nothing of it ends
		}
	}
	if !is || !g.Put {
		if err := b.announce(g); err != nil {
			return drop(err)
		}
	}
	b.arm(ctx, g)
	if is {
		return nil
	}
	if err := b.cfg.Membership.Set(ctx, g.Group, account, true); err != nil {
		return fmt.Errorf("rights: %s could not be put in for a time: %w", g.Name, err)
	}
	return nil
}

// announce says in the file and in the journal that somebody is put in.
func (b *Book) announce(g Given) error {
	err := b.change(func(k *kept) {
		for i := range k.Given {
			if o := &k.Given[i]; o.Grant == g.Grant && o.is(g.Place) {
				o.Put = true
			}
		}
	})
	if err != nil {
		return err
	}
	err = b.record(Change{
		What: GaveTime, Place: g.Place, Policies: []core.PolicyRef{g.Policy}, Grant: g.Grant,
		Why: "a grant gives it until " + g.Until.Format(time.RFC3339),
	})
	if err != nil {
		return fmt.Errorf("rights: %s is not put in: %w", g.Name, err)
	}
	return nil
}

// arm has the system end a grant's rights later, whatever becomes of this service.
func (b *Book) arm(ctx context.Context, g Given) {
	if b.cfg.Alarms == nil || b.armed[g.Grant] == g.Ends {
		return
	}
	b.armed[g.Grant] = g.Ends // once, also if it cannot be done
	_, now, err := b.cfg.Clock.Now()
	if err == nil {
		err = b.cfg.Alarms.Set(ctx, g.Grant, g.Ends-now+spareTime, b.cfg.EndOverdue)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		b.cfg.Log.Info("if this service does not run when the time is over, it is ended when it runs again", "user", g.Name, "group", g.Group, "why", err)
	}
}

package grant

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/span"
)

// Standing is what grants make of a request.
type Standing struct {
	// Controls are those that need not be satisfied again, Grants the ids of the
	// grants that stand for them.
	Controls []core.Control
	Grants   []string
	// Reason is true if a reason is asked for as well: the grant was renewed as
	// often as it may be without.
	Reason bool
	// Notes are what the person is told.
	Notes []string
}

// Use finds the grants that stand for what is asked of r, and takes one use of each.
// It is on the disk before Use returns: a use that was taken is taken, whatever
// becomes of the service.
func (s *Store) Use(r *Request) Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.now()
	if err != nil || s.broken != nil || len(s.grants) == 0 {
		return Standing{}
	}
	controls, by := s.covering(r, now)
	if !s.take(by) {
		return Standing{}
	}
	return Standing{Controls: controls, Grants: idsOf(by), Notes: ending(by, now)}
}

// ending says that what stands for something now does so for little longer: whoever uses
// it in a terminal need not look elsewhere.
func ending(by []*Grant, now time.Duration) []string {
	left := time.Duration(-1)
	for _, g := range by {
		if rest := g.left(now); rest <= g.warnsAt() && (left < 0 || rest < left) {
			left = rest
		}
	}
	if left < 0 {
		return nil
	}
	return []string{fmt.Sprintf("It is asked about again in %s.", span.Text(left))}
}

// covering finds the grants that stand for controls of r.
func (s *Store) covering(r *Request, now time.Duration) ([]core.Control, []*Grant) {
	return covered(r.Demands, func(d *core.Demand, c core.Control) *Grant {
		for _, g := range s.grants {
			if slices.Contains(g.Controls, c) && g.serves(r, d, now) {
				return g
			}
		}
		return nil
	})
}

// take takes one use of each grant that counts them, and reports whether that is on
// the disk.
func (s *Store) take(by []*Grant) bool {
	var counted []*Grant
	for _, g := range by {
		if g.Uses != nil {
			counted = append(counted, g)
			*g.Uses--
		}
	}
	if len(counted) == 0 {
		return true
	}
	if err := s.save(); err != nil {
		for _, g := range counted {
			*g.Uses++
		}
		s.cfg.Log.Error("a grant was not used, since that cannot be kept", "error", err)
		return false
	}
	s.stir()
	return true
}

// Ask is Use for who asks for a grant of that length: what is there is prolonged if
// it may be, and else controls are asked for again. It says how long a grant will be,
// and why it is shorter than was asked.
func (s *Store) Ask(r *Request, length time.Duration) Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st Standing
	now, err := s.now()
	if err != nil || s.broken != nil {
		st.Notes = append(st.Notes, "Nothing can be remembered on this machine: it is asked for each time.")
		return st
	}
	controls, by := s.covering(r, now)
	whole := len(controls) > 0 && len(controls) == len(controlsOf(r.Demands))
	for i := range r.Demands {
		d := &r.Demands[i]
		given, why := s.offer(r, d, length, now)
		live := s.live(r, d, by)
		switch {
		case given == 0:
			st.Notes = append(st.Notes, why)
			whole = false
		case live == nil || d.Grant.Renewals == 0:
			whole = false
		case live.Renewals >= d.Grant.Renewals:
			whole, st.Reason = false, true
			why += fmt.Sprintf(" It was prolonged %d times: a reason is asked for.", live.Renewals)
		}
		if given > 0 {
			st.Notes = append(st.Notes, why)
		}
	}
	if !whole {
		return st
	}
	if !s.renew(r, by, length, now) {
		st.Notes = append(st.Notes, "It could not be prolonged.")
		return st
	}
	st.Controls, st.Grants = controls, idsOf(by)
	return st
}

// live is the grant of d's policy among those that cover a request.
func (s *Store) live(r *Request, d *core.Demand, by []*Grant) *Grant {
	for _, g := range by {
		if g.Policy.ID == d.ID {
			return g
		}
	}
	return nil
}

// renew prolongs grants, or none of them.
func (s *Store) renew(r *Request, by []*Grant, length, now time.Duration) bool {
	before := make([]Grant, len(by))
	past := slices.Clone(s.past)
	for i, g := range by {
		before[i] = *g
		for j := range r.Demands {
			if d := &r.Demands[j]; d.ID == g.Policy.ID {
				given, _ := s.offer(r, d, length, now)
				g.Renewed, g.Ends, g.Renewals = now, max(g.Ends, now+given), g.Renewals+1
				s.extend(g)
			}
		}
		if err := s.cfg.Record(Event{Grant: *g, Why: "it was prolonged", By: core.ServicePrincipal()}); err != nil {
			s.cfg.Log.Error("a grant was not prolonged", "grant", g.ID, "error", err)
			return s.undo(by[:i+1], before, past)
		}
	}
	if err := s.save(); err != nil {
		s.cfg.Log.Error("a grant was not prolonged, since that cannot be kept", "error", err)
		return s.undo(by, before, past)
	}
	for _, g := range by {
		s.lend(g, g.left(now))
	}
	s.stir()
	return true
}

func (s *Store) undo(by []*Grant, before []Grant, past []past) bool {
	for i := range by {
		*by[i] = before[i]
	}
	s.past = past
	return false
}

func (s *Store) extend(g *Grant) {
	for i := range s.past {
		if s.past[i].ID == g.ID {
			s.past[i].Ends = g.Ends
		}
	}
}

// current is the grant that one which is given to r for d takes the place of, or
// that is prolonged; nil if there is none.
func (s *Store) current(r *Request, d *core.Demand) *Grant {
	seal := r.Seal
	if d.Grant.Everything {
		seal = ""
	}
	for _, g := range s.grants {
		if g.User == r.User && g.Key == r.Origin.Key() && g.Target == r.Target && g.Policy.ID == d.ID && g.Seal == seal {
			return g
		}
	}
	return nil
}

// day is what a budget is for. It is no calendar day: the wall clock can be set.
const day = 24 * time.Hour

// offer says how long a grant would be that somebody asks for now, and why; 0 for
// none. length is 0 for who asks for none in particular.
func (s *Store) offer(r *Request, d *core.Demand, length, now time.Duration) (time.Duration, string) {
	name := d.Name
	if name == "" {
		name = d.ID
	}
	terms := d.Grant
	switch {
	case terms == nil:
		return 0, fmt.Sprintf("Policy %q asks each time: that cannot be remembered.", name)
	case r.Origin.By == core.ByAgent && !terms.Agents:
		return 0, fmt.Sprintf("Policy %q lets nothing be remembered for coding agents.", name)
	case r.Origin.Key() == "":
		return 0, "It is not known from where this is asked, so nothing is remembered."
	}
	given, why := length, fmt.Sprintf("It is remembered for %s.", span.Text(length))
	if limit := time.Duration(terms.For); length == 0 || length > limit {
		given = limit
		why = fmt.Sprintf("It is remembered for %s: policy %q allows no more.", span.Text(limit), name)
	}
	spent, last, own := time.Duration(0), time.Duration(-1), s.current(r, d)
	for _, p := range s.past {
		if p.User != r.User || p.Policy != d.ID {
			continue
		}
		ends := p.Ends
		if own != nil && p.ID == own.ID { // what is offered takes the place of its rest
			ends = min(ends, now)
		}
		spent += max(0, ends-max(p.From, now-day))
		if p.Ends <= now && !p.Followed {
			last = max(last, p.Ends)
		}
	}
	if rest := last + time.Duration(terms.CoolDown) - now; last >= 0 && terms.CoolDown > 0 && rest > 0 {
		return 0, fmt.Sprintf("Policy %q lets the next be remembered in %s: until then it is asked for each time.", name, span.Text(rest+time.Second-1))
	}
	if terms.PerDay > 0 {
		rest := (time.Duration(terms.PerDay) - spent).Truncate(time.Second)
		switch {
		case rest <= 0:
			return 0, fmt.Sprintf("Policy %q lets nothing be remembered for more than %s within 24 hours, and that is used up.", name, terms.PerDay)
		case rest < given:
			given = rest
			why = fmt.Sprintf("It is remembered for %s: that is what is left of the %s within 24 hours that policy %q allows.", span.Text(rest), terms.PerDay, name)
		}
	}
	return given, why
}

// Give gives grants for the controls that were satisfied for r: for each policy that
// lets it, if length says that somebody has asked, or the policy does so by itself.
// It returns what was given.
func (s *Store) Give(r *Request, satisfied []core.Control, length time.Duration) []Grant {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, err := s.now()
	if err != nil || s.broken != nil {
		return nil
	}
	var given []Grant
	for i := range r.Demands {
		d := &r.Demands[i]
		controls := slices.DeleteFunc(slices.Clone(d.Controls), func(c core.Control) bool { return !slices.Contains(satisfied, c) })
		if d.Grant == nil || length == 0 && !d.Grant.Automatic || len(controls) == 0 {
			continue
		}
		if g := s.give(r, d, controls, length, now); g != nil {
			given = append(given, *g)
		}
	}
	return given
}

func (s *Store) give(r *Request, d *core.Demand, controls []core.Control, length, now time.Duration) *Grant {
	ends, _ := s.offer(r, d, length, now)
	if ends == 0 {
		return nil
	}
	live, remembered := 0, 0
	for _, g := range s.grants {
		if g.User == r.User {
			live++
		}
	}
	for _, p := range s.past {
		if p.User == r.User {
			remembered++
		}
	}
	if live >= maxUserGrants || remembered >= maxUserPast {
		s.cfg.Log.Warn("no grant was given: the user has too many", "user", r.UserName, "grants", live, "lately", remembered)
		return nil
	}
	g := &Grant{
		ID: rand.Text(), User: r.User, UserName: r.UserName, Policy: d.PolicyRef, Controls: controls, Target: r.Target, As: r.As,
		Key: r.Origin.Key(), Origin: r.Origin, Request: r.ID, Given: now, Renewed: now, Ends: now + ends, At: time.Now().UTC().Round(0),
	}
	if !d.Grant.Everything {
		g.Seal, g.Command = r.Seal, r.Command
	}
	g.Administrator = d.Grant.Administrator && s.cfg.Rights != nil
	if d.Grant.Uses > 0 {
		g.Uses = &[]int{d.Grant.Uses}[0]
	}
	if err := s.cfg.Record(Event{Grant: *g, Why: "it was given for " + span.Text(ends), By: core.ServicePrincipal()}); err != nil {
		s.cfg.Log.Error("no grant was given", "user", r.UserName, "policy", d.ID, "error", err)
		return nil
	}
	grants, was := slices.Clone(s.grants), slices.Clone(s.past)
	var replaced *Grant
	// A new one takes the place of the one before it, which has no pause after it.
	if old := s.current(r, d); old != nil {
		s.grants = slices.DeleteFunc(s.grants, func(other *Grant) bool { return other == old })
		replaced = old
		for i := range s.past {
			if s.past[i].ID == old.ID {
				s.past[i].Ends, s.past[i].Followed = min(s.past[i].Ends, now), true
			}
		}
	}
	s.grants = append(s.grants, g)
	s.past = append(s.past, past{ID: g.ID, User: g.User, Policy: d.ID, From: now, Ends: g.Ends})
	if err := s.save(); err != nil {
		s.grants, s.past = grants, was
		s.cfg.Log.Error("no grant was given, since it cannot be kept", "user", r.UserName, "policy", d.ID, "error", err)
		return nil
	}
	s.lend(g, ends)
	if replaced != nil && replaced.Administrator {
		if err := s.cfg.Rights.End(replaced.ID, "another grant took its place"); err != nil {
			s.cfg.Log.Error("an administrator for a time stays one until the time is over", "user", g.UserName, "error", err)
		}
	}
	s.stir()
	return g
}

// lend makes whom g is for an administrator, for so long. Without that g is one for
// all that the policy is about.
func (s *Store) lend(g *Grant, left time.Duration) {
	if !g.Administrator {
		return
	}
	if err := s.cfg.Rights.Give(g.ID, g.User, g.UserName, g.Policy, left); err != nil {
		s.cfg.Log.Error("somebody is no administrator for the time of a grant", "user", g.UserName, "grant", g.ID, "error", err)
	}
}

func idsOf(list []*Grant) (ids []string) {
	for _, g := range list {
		ids = append(ids, g.ID)
	}
	return ids
}

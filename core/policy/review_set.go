package policy

import (
	"fmt"
	"time"

	"kpm/core/controls"
	"kpm/core/fault"
)

// maxPairs bounds how many pairs of a DENY and a grant are compared.
const maxPairs = 20_000_000

// compiled is a policy beside its rule.
type compiled struct {
	policy *Policy
	rule   *rule
}

// together says what policies do to each other, and what one of them does to
// everybody.
func (v *review) together(e *Engine, policies []Policy) {
	var denies, grants []compiled
	for i := range policies {
		p := &policies[i]
		if p.Status != Enforce {
			continue
		}
		answer := e.answererOf(p.Type)
		quiet := &compiler{env: v.env, table: v.table}
		r := quiet.rule(p, i, answer)
		v.policy, v.kept = p, keeps(answer)
		if v.kept {
			continue
		}
		v.never(p, r)
		switch {
		case r.denies:
			v.everyone(r)
			denies = append(denies, compiled{p, r})
		case r.grants:
			v.everything(r)
			grants = append(grants, compiled{p, r})
		}
	}
	if len(denies)*len(grants) > maxPairs {
		v.findings, v.policy, v.path = nil, grants[0].policy, ""
		v.say(Note, fmt.Sprintf("%d policies that deny and %d that grant", len(denies), len(grants)), "fewer", "which of them deny what others grant was not compared: they are too many")
		return
	}
	for i := range grants {
		v.shadowed(&grants[i], denies)
	}
}

func (e *Engine) answererOf(policyType string) answerer {
	for _, kind := range e.kinds {
		if find(kind.types, policyType, foldEqual) != "" {
			return kind.answer
		}
	}
	return unknownKind{}
}

// shadowed looks for a DENY that holds whenever g would grant.
func (v *review) shadowed(g *compiled, denies []compiled) {
	for i := range denies {
		d := &denies[i]
		if !d.rule.covers(g.rule) {
			continue
		}
		v.policy, v.path = g.policy, "$.PolicyId"
		by := fmt.Sprintf("policy %q of %s", d.policy.ID, d.policy.File)
		if g.rule.covers(d.rule) {
			v.say(Doubt, "a contradiction: "+by+" denies the same", "one of the two", "DENY wins, and this policy never grants anything")
		} else {
			v.say(Doubt, "a shadowed grant: "+by+" denies all of it", "a DENY that leaves it out", "DENY wins, and this policy never grants anything")
		}
		return
	}
}

// never says of a policy that no question will meet it.
func (v *review) never(p *Policy, r *rule) {
	now := v.facts.Now
	if !now.IsZero() && len(p.Dates) > 0 && r.when.over(momentOf(now)) {
		v.path = "$.DateCheck"
		v.say(v.cost(r), "dates that are over", "one to come", "the policy is never met again: correct the dates, or remove it")
	}
	if p.Days != 0 && len(p.Dates) > 0 && !anyDay(p) {
		v.path = "$.DayCheck"
		v.say(v.cost(r), "none of these days lies in DateCheck", "a day that does", "the policy is never met")
	}
	if r.window != nil && !now.IsZero() && !r.window.openAgain(now, &r.when) {
		v.path = "$.Extension." + windowKey
		v.say(Note, "a window that is not open at any time of the next year at which the policy applies", "times, days and dates that the policy has as well",
			"nothing is approved automatically; what it asks for people have to approve")
	}
	for _, list := range []struct {
		name    string
		entries []string
	}{{"$.UserCheck", p.Users}, {"$.MachineCheck", p.Machines}, {"$.ApplicationCheck", p.Applications}, {"$.TargetUserCheck", p.Targets}} {
		if len(list.entries) != 1 {
			continue
		}
		if c, ok := v.env.Collections[list.entries[0]]; ok && c.Type != "" && len(c.Values) == 0 {
			v.at(list.name, 0)
			v.say(v.cost(r), fault.Text(list.entries[0])+", an empty collection", "a collection with values", "the policy is never met")
		}
	}
}

// cost is what it costs a policy to be never met.
func (v *review) cost(r *rule) Severity {
	if r.grants {
		return Doubt
	}
	return Note
}

// over reports whether every date is past.
func (w *when) over(now moment) bool {
	for _, d := range w.dates {
		if at := now.date; d.to >= at && !d.instants || d.instants && d.to >= now.ms {
			return false
		}
	}
	return true
}

// anyDay reports whether a day of DayCheck may lie in DateCheck.
func anyDay(p *Policy) bool {
	for _, d := range p.Dates {
		if d.Instants {
			return true
		}
		day := time.Date(d.FirstDay.year, d.FirstDay.month, d.FirstDay.day, 0, 0, 0, 0, time.UTC)
		last := time.Date(d.LastDay.year, d.LastDay.month, d.LastDay.day, 0, 0, 0, 0, time.UTC)
		for range 7 {
			if day.After(last) {
				break
			}
			if p.Days&(1<<day.Weekday()) != 0 {
				return true
			}
			day = day.AddDate(0, 0, 1)
		}
	}
	return false
}

// everyone warns of a DENY by which people lock themselves out.
func (v *review) everyone(r *rule) {
	v.path = "$.Actions.OnSuccess.Controls"
	if !r.everybody() || !(r.open || r.programsCover(&rule{programs: []program{{kind: byAnything}}})) || !r.ownCovers() {
		return
	}
	found := "a DENY of every command for everyone"
	if len(r.when.dates) > 0 || len(r.when.times) > 0 || r.when.days != 0 {
		found += ", at times"
	}
	remedy := "nobody but root can run anything then; with policy.enforceForAdministrators root cannot either, and only who can remove the file can undo it"
	if v.env.EnforceForAdministrators {
		remedy = "root is subject to policy here (policy.enforceForAdministrators): nobody at all can run anything then, and only who can remove the file can undo it"
	}
	v.say(Note, found, "the commands or users that are meant", remedy)
}

// everything warns of a grant of everything to everyone.
func (v *review) everything(r *rule) {
	v.path = "$.UserCheck"
	if r.who.any && r.demands == controls.Set(0) && r.own == nil && r.job == "" && r.programsCover(&rule{programs: []program{{kind: byAnything}}}) {
		v.say(Note, "a grant of every program to everyone, without asking", "the users who are meant", "whoever has an account here has all rights of the target user")
	}
}

// everybody reports whether the rule restricts whoever asks, as whomever, and
// wherever.
func (r *rule) everybody() bool {
	return (r.who.any || r.who.open) && (r.whom.unset || r.whom.any || r.whom.open) && (r.where.any || r.where.open) &&
		(r.signed.open || len(r.signed.entries) == 0) && r.requesters == 0 && r.job == ""
}

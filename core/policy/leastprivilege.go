package policy

import (
	"slices"

	"kpm/core"
)

// TypeLeastPrivilege is the type of policies that say who is not to be in the
// machine's groups of administrators.
const TypeLeastPrivilege = "LeastPrivilege"

// leastPrivilege is their kind. They answer a question about a person, who is taken
// out of those groups by whoever asks (Set.Removal). About programs they say what
// other kept policies do.
type leastPrivilege struct{ kept }

func (leastPrivilege) extension() []string { return []string{"Exclusions", "CustomFilterJobId"} }

// read sets Own to Exclusions, a []string: whom the policy leaves alone.
func (leastPrivilege) read(r *reader, p *Policy, extension fields) {
	for _, slip := range extension.slips { // an exclusion that is not read takes somebody's rights
		r.doubt(slip.Value, "$.Extension", "a key that is nearly "+slip.Key, slip.Key, "until then the policy acts on nobody")
	}
	if v, given := extension.filled("CustomFilterJobId"); given {
		r.doubt(v, "$.Extension.CustomFilterJobId", "a filter job", "none in a policy of this type", "nobody runs it: the policy acts on nobody")
	}
	v, given := extension.filled("Exclusions")
	if !given {
		return
	}
	if list, whole := r.texts(v, "$.Extension.Exclusions"); whole && len(list) > 0 {
		p.Own = list
	}
}

// compile reads Exclusions as UserCheck is read.
func (leastPrivilege) compile(c *compiler, p *Policy) filter {
	list, given := p.Own.([]string)
	if !given {
		return nil
	}
	w := c.people("$.Extension.Exclusions", list)
	return excluded{&w}
}

// excluded leaves those out whom a list names. Whoever may be meant is: to take
// rights from somebody by mistake is worse than to leave them.
type excluded struct{ who *who }

func (e excluded) match(a asked) strength {
	switch e.who.match(&a) {
	case nothing:
		return full
	case restricts:
		return restricts // it cannot be told
	}
	return nothing
}

// TakesRights reports whether any policy could ever want somebody out of a group, or
// say that it would.
func (s *Set) TakesRights() bool {
	kind := s.of(TypeLeastPrivilege)
	return kind != nil && len(kind.enforcing.rules)+len(kind.monitoring.rules) > 0
}

// Removal says which LeastPrivilege policies want the user of a question, who is in
// a group of administrators, out of it. A policy counts only if it is met wholly and
// everything in it can be read: it acts, where others refuse. Its programs are of no
// account.
//
// Attack: somebody whose rights were taken has the directory not answer, so that the
// group by which a policy means them is not known. What may be met gives nothing back.
func (s *Set) Removal(q Question) core.Removal {
	var removal core.Removal
	kind := s.of(TypeLeastPrivilege)
	var a asked
	if kind == nil || !s.ask(kind, q, &a) {
		return removal
	}
	met := func(r *rule) bool { return r.certain && r.meets(&a, full) == full }
	for i := range kind.enforcing.rules {
		r := &kind.enforcing.rules[i]
		if met(r) {
			removal.Policies = append(removal.Policies, r.ref())
		} else if r.meets(&a, full) != nothing {
			removal.Doubtful = true
		}
	}
	for i := range kind.monitoring.rules {
		r := &kind.monitoring.rules[i]
		if !met(r) {
			continue
		}
		removal.Monitored = append(removal.Monitored, r.ref())
		if r.notice != nil && !slices.Contains(removal.Notices, *r.notice) {
			removal.Notices = append(removal.Notices, *r.notice)
		}
	}
	return removal
}

package policy

import (
	"slices"

	"kpm/core"
)

// DecideExecution answers whether q.User may execute q.Path, by policies of type
// FileAccess: for whoever stops programs before they run. Unlike an elevation it
// needs no grant: what no policy restricts is allowed. A DENY refuses, and controls
// make it PENDING.
//
// Where a policy about elevation names the same program for the same user, that one
// alone applies, and the answer is ALLOW: the program can be run with it, and its
// own terms hold then.
func (s *Set) DecideExecution(q Question) core.Decision {
	q.Kind = TypeFileAccess
	kind := s.of(TypeFileAccess)
	var a asked
	if kind == nil || !s.ask(kind, q, &a) {
		return core.Decision{Outcome: core.Deny, Message: "The question does not say who would run which absolute path, so it was refused."}
	}
	if q.Administrator && !s.env.EnforceForAdministrators {
		return core.Decision{Outcome: core.Allow}
	}
	var buffer [24]hit
	x := &kind.enforcing
	// Policies of a type that nobody knows are about questions, and not about what people
	// run without asking anybody.
	found := slices.DeleteFunc(x.find(&a, buffer[:0]), func(h hit) bool { return x.rules[h.rule].foreign })
	t := x.tally(found)
	if !t.denied && t.demands == 0 || s.elevates(q) {
		return core.Decision{Outcome: core.Allow}
	}
	if t.denied {
		return x.decide(&a, found)
	}
	by := x.refs(found, func(r *rule, _ strength) bool { return r.demands != 0 }) // which sorts them
	approvals, ok := x.approvals(&a, found)
	if !ok {
		return core.Decision{Outcome: core.Deny, Policies: by, Message: tooManyApprovals}
	}
	return core.Decision{Outcome: core.Pending, Controls: x.controls[t.demands], Policies: by, Approvals: approvals}
}

// elevates reports whether an enforced policy about elevation names the program,
// and not just every program, for the user who asks.
func (s *Set) elevates(q Question) bool {
	q.Kind, q.TargetAdministrator = TypePrivilegeElevation, true
	kind := s.of(q.Kind)
	var a asked
	if kind == nil || !s.ask(kind, q, &a) {
		return false
	}
	x := &kind.enforcing
	for _, h := range x.find(&a, nil) {
		r := &x.rules[h.rule]
		for i := range r.programs {
			if p := &r.programs[i]; p.kind != byAnything && p.match(&a) == full && (r.grants || r.denies || r.demands != 0) {
				return true
			}
		}
	}
	return false
}

// RestrictsExecution reports whether an enforced policy of type FileAccess is about
// executing q.Path, whoever does it and whenever. Nobody needs to ask about a file
// of which it says no, as long as this Set is in force.
func (s *Set) RestrictsExecution(q Question) bool {
	q.Kind = TypeFileAccess
	kind := s.of(q.Kind)
	var a asked
	if kind == nil || !s.ask(kind, q, &a) {
		return true
	}
	for i := range kind.enforcing.rules {
		r := &kind.enforcing.rules[i]
		if r.stopsExecutions() && r.program(&a) != nothing {
			return true
		}
	}
	return false
}

// RestrictsExecutions reports whether an enforced policy of type FileAccess can
// refuse or hold up anything.
func (s *Set) RestrictsExecutions() bool {
	kind := s.of(TypeFileAccess)
	if kind == nil {
		return false
	}
	for i := range kind.enforcing.rules {
		if kind.enforcing.rules[i].stopsExecutions() {
			return true
		}
	}
	return false
}

func (r *rule) stopsExecutions() bool { return !r.foreign && (r.denies || r.demands != 0) }

package policy

import (
	"slices"

	"kpm/core"
	"kpm/core/controls"
)

const (
	childDenied   = "The policy that allows its parent lets it start no other programs."
	childUncalled = "The policy that allows its parent lets it start only what policies allow by themselves, and none allows this."
	parentGone    = "No policy allows its parent any more."
)

// DecideChild answers whether a program may be started by one that policy has
// allowed: for whoever stops programs before they run. parent is the question that
// the parent was allowed by, and satisfied are the controls that were satisfied for
// it. child names the same user and target, and the program that would be started.
//
// The strictest of the rules of the policies that grant the parent counts. A DENY
// that meets the child holds under each of them (memdocs pull request 5145 is
// about a product where it did not), and so do controls that were not satisfied for
// the parent: then the answer is PENDING with what is missing.
func (s *Set) DecideChild(parent, child Question, satisfied []core.Control) core.Decision {
	kind := s.of(parent.Kind)
	if kind == nil || parent.Kind != child.Kind || keeps(kind.answer) {
		return core.Decision{Outcome: core.Deny, Message: notCovered}
	}
	if parent.Administrator && child.Administrator && !s.env.EnforceForAdministrators {
		return s.Decide(child)
	}
	x := &kind.enforcing
	var above, below asked
	if !s.ask(kind, parent, &above) || !s.ask(kind, child, &below) || parent.User != child.User || parent.Target != child.Target {
		return core.Decision{Outcome: core.Deny, Message: "The question does not say who starts which program, so it was refused."}
	}
	over, under := x.find(&above, nil), x.find(&below, nil)
	mine := x.tally(under)
	if mine.denied {
		return x.decide(&below, under)
	}
	if t := x.tally(over); t.denied || !t.granted {
		return core.Decision{Outcome: core.Deny, Message: parentGone}
	}
	grants := func(r *rule, by strength) bool { return r.grants && by == full }
	by, children := x.refs(over, grants), x.children(over)
	switch {
	case children == ChildrenDenied:
		return core.Decision{Outcome: core.Deny, Policies: by, Message: childDenied}
	case children == ChildrenOwnRule && !mine.granted:
		return core.Decision{Outcome: core.Deny, Policies: by, Message: childUncalled}
	case children == ChildrenOwnRule:
		by = x.refs(under, grants)
	}
	if missing := mine.demands &^ x.setOf(satisfied); missing != 0 {
		asking := x.refs(under, func(r *rule, _ strength) bool { return r.demands&missing != 0 })
		return core.Decision{Outcome: core.Pending, Controls: x.controls[missing], Policies: asking}
	}
	return core.Decision{Outcome: core.Allow, Policies: by}
}

// Children says what may be started by a program that is allowed by q: the
// strictest rule of the policies that grant it.
func (s *Set) Children(q Question) ChildRule {
	kind := s.of(q.Kind)
	var a asked
	if kind == nil || !s.ask(kind, q, &a) {
		return ChildrenDenied
	}
	if q.Administrator && !s.env.EnforceForAdministrators {
		return ChildrenInherit
	}
	return kind.enforcing.children(kind.enforcing.find(&a, nil))
}

// RulesChildren reports whether an enforced policy has another rule for children
// than ChildrenInherit.
func (s *Set) RulesChildren() bool {
	return slices.ContainsFunc(s.kinds, func(k compiledKind) bool {
		return slices.ContainsFunc(k.enforcing.rules, func(r rule) bool { return r.children != ChildrenInherit })
	})
}

// children is the strictest rule of the policies that grant.
func (x *index) children(found hits) (strictest ChildRule) {
	for _, h := range found {
		if r := &x.rules[h.rule]; r.grants && h.by == full {
			strictest = max(strictest, r.children)
		}
	}
	return strictest
}

// setOf is the set of the required controls among list.
func (x *index) setOf(list []core.Control) (set controls.Set) {
	for bit := controls.Set(1); int(bit) < len(x.controls); bit <<= 1 {
		if slices.Contains(list, x.controls[bit][0]) {
			set |= bit
		}
	}
	return set
}

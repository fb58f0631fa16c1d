package policy

import (
	"kpm/core"
	"kpm/core/wire"
)

// Explanation says how a decision came about: what each policy had to say, and
// why. It is for who writes policies, and never for who asks (CVE-2025-46718).
type Explanation struct {
	Decision core.Decision
	// Watch is what monitoring policies would have done.
	Watch core.Monitored
	// Children is what the program may start, if the decision is no DENY.
	Children ChildRule
	// Execution is what is decided when the same program is started by itself, where
	// programs are stopped before they run.
	Execution core.Decision
	Policies  []PolicyResult
}

// PolicyResult is what one policy had to say about a question.
type PolicyResult struct {
	ID     string `json:"policy"`
	Name   string `json:"name,omitempty"`
	Type   string `json:"type"` // empty for one that nobody knows
	Status Status `json:"status"`
	File   string `json:"file,omitempty"`
	Index  int    `json:"index"`
	Result Result `json:"result"`
	// Effect is what the policy does to the answer, in a few words.
	Effect string `json:"effect"`
	// Because are the filters that are not met, or not wholly; all of them are
	// in Filters.
	Because []string       `json:"because,omitempty"`
	Filters []FilterResult `json:"filters,omitempty"`
}

// FilterResult is one filter of a policy, held against a question.
type FilterResult struct {
	Name   string   `json:"filter"`
	Wanted []string `json:"wanted,omitempty"` // none if it is unset or empty
	Found  string   `json:"found"`
	Result Result   `json:"result"`
}

// Result says how much of a policy or filter a question meets.
type Result string

// The results. What restricts has its DENY and its controls count, and grants
// nothing.
const (
	Met       Result = "met"
	Restricts Result = "restricts"
	NotMet    Result = "not met"
	NotAsked  Result = "not asked" // of a policy that is off, or answers other questions
)

func resultOf(s strength) Result { return [...]Result{NotMet, Restricts, Met}[s] }

// Explain answers q as Decide does, and says why. policies are those that the Set
// was compiled from, in that order. Filters are asked by the code that decides,
// each of them, where a decision stops at the first that is not met.
func (s *Set) Explain(q Question, policies []Policy) Explanation {
	e := Explanation{Decision: s.Decide(q), Watch: s.Watching(q), Children: s.Children(q), Execution: s.DecideExecution(q), Policies: make([]PolicyResult, len(policies))}
	for i := range policies {
		p := &policies[i]
		e.Policies[i] = PolicyResult{
			ID: wire.Printable(p.ID), Name: wire.Printable(p.Name), Type: p.Type, Status: p.Status, File: p.File, Index: p.Index,
			Result: NotAsked, Effect: "it answers other questions",
		}
		if p.Status == Off {
			e.Policies[i].Effect = "none: it is off"
		}
	}
	kind := s.of(q.Kind)
	var a asked
	if kind == nil || !s.ask(kind, q, &a) {
		return e
	}
	for _, x := range []*index{&kind.enforcing, &kind.monitoring} {
		for i := range x.rules {
			if at := int(x.rules[i].place); at < len(policies) {
				x.rules[i].explain(&a, &policies[at], &e.Policies[at], x)
			}
		}
	}
	return e
}

// explain holds one rule against a question.
func (r *rule) explain(a *asked, p *Policy, to *PolicyResult, x *index) {
	by := r.program(a)
	add := func(name string, wanted []string, found string, s strength) {
		to.Filters = append(to.Filters, FilterResult{Name: name, Wanted: wanted, Found: wire.Printable(found), Result: resultOf(s)})
		if s != full {
			to.Because = append(to.Because, name)
		}
	}
	add("ApplicationCheck", p.Applications, a.describeProgram(), by)
	for c := range checks {
		s := r.check(c, a)
		by = min(by, s)
		name, wanted, found := describeCheck(c, p, a)
		if len(wanted) > 0 || s != full {
			add(name, wanted, found, s)
		}
	}
	to.Result, to.Effect = resultOf(by), r.effect(by, x)
	if r.window != nil && by != nothing {
		to.Effect += "; " + r.window.explain(a.q.Time, by)
	}
	if p.Status != Enforce && by != nothing {
		to.Effect = "none, it only watches; enforced: " + to.Effect
	}
}

// effect is what a rule that is met so far does to the answer.
func (r *rule) effect(by strength, x *index) string {
	switch {
	case by == nothing:
		return "none"
	case r.denies:
		return "denies"
	case r.demands != 0:
		text := "asks for"
		for i, c := range x.controls[r.demands] {
			if i > 0 {
				text += ","
			}
			text += " " + string(c)
		}
		if r.grants && by == full {
			return text + ", and grants then"
		}
		return text + ", and grants nothing"
	case r.grants && by == full:
		return "grants"
	}
	return "grants nothing"
}

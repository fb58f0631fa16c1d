package policy

import (
	"slices"

	"kpm/core/controls"
)

// Compilation makes a Set of policies that come file by file. Of a file that has been added
// it holds what became of it: all policies as they were written beside that would be twice
// as much.
type Compilation struct {
	engine   *Engine
	compiler compiler
	set      *Set
	rules    []ruleLists // of each kind
	seen     map[string]struct{}
	place    int
}

// Begin begins a Set for a machine. Its collections must not change any more.
func (e *Engine) Begin(env Environment) *Compilation {
	c := &Compilation{engine: e, set: &Set{env: env, directories: env.directories()}, seen: map[string]struct{}{}}
	c.compiler = compiler{env: &c.set.env, table: e.controls}
	for _, kind := range e.kinds {
		c.set.kinds = append(c.set.kinds, compiledKind{Kind: kind})
	}
	c.rules = make([]ruleLists, len(e.kinds))
	return c
}

// Add gives the policies of a file their meaning on this machine.
func (c *Compilation) Add(policies []Policy) {
	for i := range policies {
		p := &policies[i]
		if _, twice := c.seen[p.ID]; twice {
			c.compiler.note(p, "$.PolicyId", "an id that another policy has", "an id of its own", "both apply, and answers do not tell them apart")
		}
		c.seen[p.ID] = struct{}{}
		for k, kind := range c.set.kinds {
			answer := kind.answer
			if p.Type == "" { // of an unknown type: it may be about any question
				answer = unknownKind{}
			}
			if list := c.rules[k].of(kind.Kind, p); list != nil {
				*list = append(*list, c.compiler.rule(p, c.place, answer))
			}
		}
		c.place++
	}
	c.compiler.policy = nil
}

// Set returns the set of what was added. Whether administrators are subject to it may be
// known only now, and replaces what the environment says of that. The findings are Doubts
// and Notes only: a policy that cannot be resolved still restricts. Nothing may be added
// any more.
func (c *Compilation) Set(enforceForAdministrators bool) (*Set, []Finding) {
	s := c.set
	s.env.EnforceForAdministrators = enforceForAdministrators
	for k, rules := range c.rules {
		s.kinds[k].enforcing, s.kinds[k].monitoring = newIndex(rules.enforcing, c.engine.lists), newIndex(rules.monitoring, c.engine.lists)
	}
	return s, c.compiler.findings
}

// Compile makes a Set of policies that are there already.
func (e *Engine) Compile(policies []Policy, env Environment) (*Set, []Finding) {
	c := e.Begin(env)
	c.Add(policies)
	return c.Set(env.EnforceForAdministrators)
}

// ruleLists are the rules of one kind.
type ruleLists struct{ enforcing, monitoring []*rule }

// of returns the list that a policy belongs into; nil if it says nothing about this kind.
func (l *ruleLists) of(kind Kind, p *Policy) *[]*rule {
	switch {
	case p.Type != "" && !slices.Contains(kind.types, p.Type), p.Status == Off:
		return nil
	case p.Status == Monitor, p.Status == MonitorAndNotify:
		return &l.monitoring
	}
	return &l.enforcing
}

// compiler collects findings while it compiles one policy after the other.
type compiler struct {
	env        *Environment
	table      controls.Table
	findings   []Finding
	policy     *Policy
	path       string
	who        alike[who]
	conditions alike[conditions]
	doubts     int  // of the current policy
	kept       bool // the current policy grants nothing, whatever it says
}

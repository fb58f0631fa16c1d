package policy

import (
	"cmp"
	"fmt"
	"slices"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/fault"
	"kpm/core/wire"
)

// Set is a compiled set of policies. It does not change and may be asked by
// many goroutines at once.
type Set struct {
	env         Environment
	directories []string // the secure path
	kinds       []compiledKind
}

// compiledKind holds the policies that answer one kind of question.
type compiledKind struct {
	Kind
	enforcing, monitoring index
}

// of returns the kind that a policy type belongs to, nil if this release answers
// nothing from policies of that type.
func (s *Set) of(policyType string) *compiledKind {
	for i := range s.kinds {
		for _, name := range s.kinds[i].types {
			if name == policyType {
				return &s.kinds[i]
			}
		}
	}
	return nil
}

// rule is one compiled policy.
type rule struct {
	ref     core.PolicyRef
	denies  bool
	grants  bool         // when it is met fully
	demands controls.Set // what must be satisfied before it grants
	who     who
	where   where
	when    when
	signed  signed
	// programs that it is about; open: every program is restricted.
	programs []program
	open     bool
	own      filter // what the kind adds; nil means nothing
	refusal  string // what the person is told if this alone denies
}

// Compile gives policies their meaning on this machine. The findings are
// Doubts and Notes only: a policy that cannot be resolved still restricts.
func (e *Engine) Compile(policies []Policy, env Environment) (*Set, []Finding) {
	c := &compiler{env: &env, table: e.controls}
	s := &Set{env: env, directories: env.directories()}
	for _, kind := range e.kinds {
		if kind.answer != nil {
			s.kinds = append(s.kinds, compiledKind{Kind: kind})
		}
	}
	rules := make([]struct{ enforcing, monitoring []rule }, len(s.kinds))
	seen := make(map[string]bool, len(policies))
	for i := range policies {
		p := &policies[i]
		if seen[p.ID] {
			c.note(p, "$.PolicyId", "an id that another policy has", "an id of its own", "both apply, and answers do not tell them apart")
		}
		seen[p.ID] = true
		k := slices.IndexFunc(s.kinds, func(kind compiledKind) bool { return slices.Contains(kind.types, p.Type) })
		if k < 0 {
			continue
		}
		switch p.Status {
		case Off:
		case Monitor, MonitorAndNotify:
			rules[k].monitoring = append(rules[k].monitoring, c.rule(p, s.kinds[k].answer))
		default:
			rules[k].enforcing = append(rules[k].enforcing, c.rule(p, s.kinds[k].answer))
		}
	}
	for k := range s.kinds {
		s.kinds[k].enforcing, s.kinds[k].monitoring = newIndex(rules[k].enforcing, e.lists), newIndex(rules[k].monitoring, e.lists)
	}
	return s, c.findings
}

// Size returns how many policies can change an outcome, and how many only
// watch.
func (s *Set) Size() (enforcing, monitoring int) {
	for i := range s.kinds {
		enforcing += len(s.kinds[i].enforcing.rules)
		monitoring += len(s.kinds[i].monitoring.rules)
	}
	return enforcing, monitoring
}

// compiler collects findings while it compiles one policy after the other.
type compiler struct {
	env      *Environment
	table    controls.Table
	findings []Finding
	policy   *Policy
	path     string
	doubts   int // of the current policy
}

func (c *compiler) at(filter string, i int) { c.path = fault.Item(filter, i) }

func (c *compiler) note(p *Policy, path, found, expected, remedy string) {
	c.find(Note, p, path, found, expected, remedy)
}

func (c *compiler) doubt(found, expected, remedy string) {
	c.doubts++
	c.find(Doubt, c.policy, c.path, found, expected, remedy)
}

func (c *compiler) find(s Severity, p *Policy, path, found, expected, remedy string) {
	f := Finding{
		Severity: s, Policy: p.ID, Index: p.Index,
		Fault: fault.Fault{File: p.File, Field: path, Found: found, Expected: expected, Remedy: remedy},
	}
	if p.source.Given() {
		f.Line, f.Column = p.source.Nearest(path).Place()
	}
	c.findings = append(c.findings, f)
}

// collection looks an entry up as a collection of one of two kinds.
func (c *compiler) collection(entry string, want, or CollectionType) (Collection, bool) {
	named, ok := c.env.Collections[entry]
	if ok && named.Type != want && named.Type != or {
		c.doubt(fmt.Sprintf("%q, a collection of type %q", entry, named.Type), fmt.Sprintf("one of type %q", want), "")
		return Collection{}, true
	}
	return named, ok
}

func (c *compiler) rule(p *Policy, kind answerer) rule {
	c.policy, c.doubts = p, 0
	r := rule{
		// Answers show these to people in terminals.
		ref:  core.PolicyRef{ID: wire.Printable(p.ID), Name: wire.Printable(p.Name)},
		who:  c.compileWho(p),
		when: compileWhen(p),
	}
	r.where = c.compileWhere(p)
	r.signed = c.compileSigned(p)
	r.programs, r.open = c.compileWhat(p, kind)
	r.own = kind.compile(c, p)
	r.denies = c.denies(p)
	for i, control := range p.Controls {
		switch bit := c.table.Bit(control); {
		case bit != 0:
			r.demands |= bit
		case c.table.Effect(control) == controls.Grants:
			r.grants = true
		case c.table.Effect(control) == controls.Required: // it is not in the table
			c.at("$.Actions.OnSuccess.Controls", i)
			c.doubt(fault.Text(string(control)), "one of "+c.table.String(), "")
		}
	}
	r.grants = (r.grants || r.demands != 0) && !r.denies && !p.Doubtful && c.doubts == 0
	r.refusal = refusal([]core.PolicyRef{r.ref})
	c.leadingStar(&r)
	return r
}

// denies reports whether p refuses what it meets.
func (c *compiler) denies(p *Policy) bool {
	return slices.ContainsFunc(p.Controls, func(control core.Control) bool { return c.table.Effect(control) == controls.Denies })
}

// leadingStar warns of a grant that users can reach by making a file.
func (c *compiler) leadingStar(r *rule) {
	for _, p := range r.programs {
		if r.grants && p.kind == byPattern && p.glob.prefix == "" {
			c.note(c.policy, "$.ApplicationCheck", `a pattern that begins with "*"`, "a folder that only administrators can write to",
				"users can put a program of that name into a folder of their own, and it will be granted")
		}
	}
}

// meets says how much of the rule the question meets, apart from the program,
// which the index has found with the given strength.
func (r *rule) meets(a *asked, by strength) strength {
	if r.own != nil {
		if by = min(by, r.own.match(*a)); by == nothing {
			return nothing
		}
	}
	if !r.when.always() && !r.when.match(a.when()) {
		return nothing
	}
	by = min(by, r.who.match(a), r.signed.match(a))
	if by == nothing {
		return nothing
	}
	return min(by, r.where.match(a))
}

// byID orders rules so that an answer does not depend on the order of files.
func byID(a, b rule) int {
	return cmp.Or(cmp.Compare(a.ref.ID, b.ref.ID), cmp.Compare(a.ref.Name, b.ref.Name))
}

func sorted(rules []rule) []rule {
	slices.SortStableFunc(rules, byID)
	return rules
}

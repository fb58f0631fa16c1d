package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

// Set is a compiled set of policies. It does not change and may be asked by
// many goroutines at once.
type Set struct {
	env         Environment
	directories []string // the secure path
	enforcing   index
	monitoring  index
}

// rule is one compiled policy.
type rule struct {
	ref     core.PolicyRef
	denies  bool
	grants  bool        // when it is met fully
	demands requirement // what it asks for
	who     who
	where   where
	when    when
	signed  signed
	// programs that it is about; open: every program is restricted.
	programs []program
	open     bool
	// commands narrow it to an allow list; nil means all.
	commands []command
	scoped   bool
	refusal  string // what the person is told if this alone denies
}

// requirement is a set of controls that must be satisfied.
type requirement uint8

const (
	needMFA requirement = 1 << iota
	needJustify
	needApproval
)

// Compile gives policies their meaning on this machine. The findings are
// Doubts and Notes only: a policy that cannot be resolved still restricts.
func Compile(policies []Policy, env Environment) (*Set, []Finding) {
	if env.Zone == nil {
		env.Zone = time.UTC
	}
	c := &compiler{env: &env}
	s := &Set{env: env, directories: env.directories()}
	var enforcing, monitoring []rule
	seen := make(map[string]bool, len(policies))
	for i := range policies {
		p := &policies[i]
		if seen[p.ID] {
			c.note(p, "$.PolicyId", "an id that another policy has", "an id of its own", "both apply, and answers do not tell them apart")
		}
		seen[p.ID] = true
		if p.Type != TypePrivilegeElevation && p.Type != TypeCommandLine {
			continue
		}
		switch p.Status {
		case Off:
		case Monitor, MonitorAndNotify:
			monitoring = append(monitoring, c.rule(p))
		default:
			enforcing = append(enforcing, c.rule(p))
		}
	}
	s.enforcing, s.monitoring = newIndex(enforcing), newIndex(monitoring)
	return s, c.findings
}

// Size returns how many policies can change an outcome, and how many only
// watch.
func (s *Set) Size() (enforcing, monitoring int) {
	return len(s.enforcing.rules), len(s.monitoring.rules)
}

// compiler collects findings while it compiles one policy after the other.
type compiler struct {
	env      *Environment
	findings []Finding
	policy   *Policy
	path     string
	doubts   int // of the current policy
}

func (c *compiler) at(filter string, i int) { c.path = element(filter, i) }

func (c *compiler) note(p *Policy, path, found, expected, remedy string) {
	c.findings = append(c.findings, Finding{
		Severity: Note, File: p.File, Policy: p.ID, Index: p.Index,
		Path: path, Found: found, Expected: expected, Remedy: remedy,
	})
}

func (c *compiler) doubt(found, expected, remedy string) {
	c.doubts++
	c.findings = append(c.findings, Finding{
		Severity: Doubt, File: c.policy.File, Policy: c.policy.ID, Index: c.policy.Index,
		Path: c.path, Found: found, Expected: expected, Remedy: remedy,
	})
}

// collection looks an entry up as a collection of one of two kinds.
func (c *compiler) collection(entry string, kind, or Kind) (Collection, bool) {
	named, ok := c.env.Collections[entry]
	if ok && named.Kind != kind && named.Kind != or {
		c.doubt(fmt.Sprintf("%q, a collection of type %q", entry, named.Kind), fmt.Sprintf("one of type %q", kind), "")
		return Collection{}, true
	}
	return named, ok
}

func (c *compiler) rule(p *Policy) rule {
	c.policy, c.doubts = p, 0
	r := rule{
		// Answers show these to people in terminals.
		ref:  core.PolicyRef{ID: wire.Printable(p.ID), Name: wire.Printable(p.Name)},
		who:  c.compileWho(p),
		when: compileWhen(p, c.env.Zone),
	}
	r.where = c.compileWhere(p)
	r.signed = c.compileSigned(p)
	r.programs, r.open = c.compileWhat(p)
	r.scoped = p.Commands != nil
	r.commands = c.compileCommands(p)
	for _, control := range p.Controls {
		switch control {
		case core.ControlDeny:
			r.denies = true
		case core.ControlAllow:
			r.grants = true
		case core.ControlMFA:
			r.demands |= needMFA
		case core.ControlJustify:
			r.demands |= needJustify
		case core.ControlApproval:
			r.demands |= needApproval
		}
	}
	r.grants = (r.grants || r.demands != 0) && !r.denies && !p.Doubtful && c.doubts == 0
	r.refusal = refusal([]core.PolicyRef{r.ref})
	c.leadingStar(&r)
	return r
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
	if r.scoped && !r.listed(a) {
		// Off the allow list a policy has nothing to say, except that DENY
		// with an allow list is a riddle, and riddles restrict.
		if !r.denies {
			return nothing
		}
		by = min(by, restricts)
	}
	if !r.when.match(&a.moment) {
		return nothing
	}
	by = min(by, r.who.match(a), r.signed.match(a))
	if by == nothing {
		return nothing
	}
	return min(by, r.where.match(a))
}

func (r *rule) listed(a *asked) bool {
	for i := range r.commands {
		if r.commands[i].match(a) {
			return true
		}
	}
	return false
}

// refusal names the policies that refused and what to do. It never says why
// others did not match (CVE-2025-46718).
func refusal(by []core.PolicyRef) string {
	const most = 3
	text := "Policy "
	if len(by) > 1 {
		text = "Policies "
	}
	for i, ref := range by {
		if i == most {
			text += fmt.Sprintf(" and %d more", len(by)-most)
			break
		}
		if i > 0 {
			text += ", "
		}
		name := ref.Name
		if name == "" {
			name = ref.ID
		}
		text += quote(name)
	}
	if len(by) > 1 {
		text += " refuse this command. If you need it, ask the person who manages this machine's policies to change them."
	} else {
		text += " refuses this command. If you need it, ask the person who manages this machine's policies to change it."
	}
	return wire.Printable(text)
}

// byID orders rules so that an answer does not depend on the order of files.
func byID(a, b rule) int {
	return cmp.Or(cmp.Compare(a.ref.ID, b.ref.ID), cmp.Compare(a.ref.Name, b.ref.Name))
}

func sorted(rules []rule) []rule {
	slices.SortStableFunc(rules, byID)
	return rules
}

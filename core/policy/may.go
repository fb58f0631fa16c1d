package policy

import (
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// maxPermissions bounds a Listing: it must fit into a message.
const maxPermissions = 200

// May returns what enforced policies say to who asks q, where and when: which
// programs and targets q names does not matter. Policies that q does not meet are
// not mentioned, and neither is why (CVE-2025-46718).
func (s *Set) May(q Question) (list core.Listing, ok bool) {
	kind := s.of(q.Kind)
	var a asked
	q.Path, q.Requested, q.Arguments = "/", "/", nil
	if kind == nil || !s.ask(kind, q, &a) {
		return core.Listing{}, false
	}
	if q.Administrator && !s.env.EnforceForAdministrators {
		return core.Listing{Everything: true}, true
	}
	size := 0
	for i := range kind.enforcing.rules {
		r := &kind.enforcing.rules[i]
		by := full
		for _, c := range [...]check{checkUsers, checkMachines, checkDates, checkTimes, checkDays, checkRequester} {
			by = min(by, r.check(c, &a))
		}
		grants := r.grants && by == full
		if by == nothing || !grants && !r.denies && r.demands == 0 {
			continue
		}
		p := r.permission(&kind.enforcing)
		p.Grants = grants
		if size += sizeOf(p); len(list.Permissions) == maxPermissions || size > wire.MaxMessage/8 {
			list.More++
			continue
		}
		list.Permissions = append(list.Permissions, p)
	}
	return list, true
}

// permission writes a rule as policies do.
func (r *rule) permission(x *index) core.Permission {
	p := core.Permission{PolicyRef: r.ref(), Denies: r.denies, Controls: x.controls[r.demands], Signed: len(r.signed.entries) > 0}
	if slices.Contains(p.Controls, core.ControlApproval) {
		p.Approval = r.approval
	}
	if r.terms != nil {
		p.For = r.terms.For.String()
	}
	if r.open {
		p.Programs = []string{"*"}
	}
	for i := range r.programs {
		p.Programs = append(p.Programs, wire.Printable(r.programs[i].String()))
	}
	if list, narrowed := r.own.(*allowList); narrowed && !list.open {
		for i := range list.commands {
			p.Commands = append(p.Commands, wire.Printable(list.commands[i].String()))
		}
	}
	switch {
	case r.whom.any:
		p.Targets = []string{"*"}
	case !r.whom.unset && !r.whom.open:
		p.Targets = append(p.Targets, r.whom.names...)
		for _, id := range r.whom.ids {
			p.Targets = append(p.Targets, "#"+id)
		}
	}
	return p
}

// sizeOf is about how many bytes a permission takes in a message.
func sizeOf(p core.Permission) int {
	size := len(p.ID) + len(p.Name) + 100
	lists := [][]string{p.Programs, p.Commands, p.Targets}
	if a := p.Approval; a != nil {
		size += len(a.Policy.ID) + len(a.Policy.Name) + 100
		lists = append(lists, a.Users, a.Groups, a.EscalatedUsers, a.EscalatedGroups)
	}
	for _, list := range lists {
		for _, text := range list {
			size += len(text) + 3
		}
	}
	return size
}

// String is the entry as policies write it.
func (p *program) String() string {
	switch {
	case p.kind == byAnything:
		return "*"
	case p.patterned():
		return p.glob.text()
	}
	return p.text
}

// String is the command as policies write it.
func (c *command) String() string {
	words := []string{c.program.String()}
	for i := range c.words {
		words = append(words, c.words[i].String())
	}
	if c.star {
		words = append(words, "*")
	}
	return strings.Join(words, " ")
}

// String is the argument as policies write it.
func (w *word) String() string {
	if w.path {
		return w.prefix + pathWord + ":" + w.glob.text() + "}"
	}
	return w.glob.text()
}

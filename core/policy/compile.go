package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

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

// of returns the kind that a policy type belongs to, nil if there is none.
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
	name    [1]core.PolicyRef // an array, so that answers about this policy alone share it
	denies  bool
	certain bool         // nothing in it is in doubt
	grants  bool         // when it is met fully
	demands controls.Set // what must be satisfied before it grants
	who     *who         // of other rules, too, that have the same one
	*conditions
	// programs that it is about; open: every program is restricted.
	programs []program
	open     bool
	own      filter             // what the kind adds; nil means nothing
	approval *core.ApprovalRule // whom APPROVAL takes
	refusal  string             // what the person is told if this alone denies
	// notice is what a person is told of it while it only watches; nil is nothing.
	notice *core.Notice
	// foreign is true if nobody knows the type of the policy.
	foreign bool
	// place is that of the policy among those that were compiled.
	place int32
}

// conditions are what most rules of a set have alike: rules that do have the same ones.
type conditions struct {
	whom   whom
	where  where
	when   when
	signed signed
	window *window // when APPROVAL takes nobody; nil is never
	// requesters are who may be behind a question; none is anybody.
	requesters requesters
	job        string // that decides whether the policy applies
	terms      *core.GrantTerms
	children   ChildRule
	transient  *core.TransientTerms
	session    string // where it runs as whoever asks; empty if it does not
	// riskLevel is nil without one.
	riskLevel *uint8
	// free are the checks that leave nothing out (check.go), a bit each.
	free uint16
}

func (r *rule) ref() core.PolicyRef { return r.name[0] }

// Size returns how many policies can change an outcome, and how many only
// watch.
func (s *Set) Size() (enforcing, monitoring int) {
	for i := range s.kinds {
		enforcing += len(s.kinds[i].enforcing.rules)
		monitoring += len(s.kinds[i].monitoring.rules)
	}
	return enforcing, monitoring
}

// Paths returns the paths that policies name, for whoever looks which of them are
// links (Question.Links): programs, and the folders of patterns, which end in "/".
func (s *Set) Paths() []string {
	named, bare := map[string]bool{}, false
	note := func(list []program) {
		for i := range list {
			switch p := &list[i]; p.kind {
			case byName, byNamePattern: // of links on the secure path, too
				bare = true
			case byPath:
				named[p.text] = true
			case byPattern:
				at := strings.LastIndexByte(p.glob.prefix, '/')
				if at < 0 {
					bare = true
					continue
				}
				folder := p.glob.prefix[:at+1]
				named[folder] = true
				for _, dir := range s.directories { // "*" stands for folders, too
					if strings.HasPrefix(dir, folder) {
						named[dir+"/"] = true
					}
				}
			}
		}
	}
	for i := range s.kinds {
		for _, x := range []*index{&s.kinds[i].enforcing, &s.kinds[i].monitoring} {
			for j := range x.rules {
				note(x.rules[j].programs)
				if list, ok := x.rules[j].own.(interface{ programs() []program }); ok {
					note(list.programs())
				}
			}
		}
	}
	for _, dir := range s.directories {
		if bare {
			named[dir+"/"] = true
		}
	}
	return slices.Sorted(maps.Keys(named))
}

func (c *compiler) at(filter string, i int) { c.path = fault.Item(filter, i) }

func (c *compiler) note(p *Policy, path, found, expected, remedy string) {
	c.find(Note, p, path, found, expected, remedy)
}

func (c *compiler) doubt(found, expected, remedy string) {
	c.doubts++
	if c.kept { // it grants nothing anyway
		c.find(Note, c.policy, c.path, found, expected, remedy)
		return
	}
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
	if ok && named.Type == "" {
		c.doubt(fmt.Sprintf("%q, a collection that cannot be read", entry), fmt.Sprintf("one of type %q", want), "correct the collections file")
		return Collection{}, true
	}
	if ok && named.Type != want && named.Type != or {
		c.doubt(fmt.Sprintf("%q, a collection of type %q", entry, named.Type), fmt.Sprintf("one of type %q", want), "")
		return Collection{}, true
	}
	return named, ok
}

func (c *compiler) rule(p *Policy, place int, kind answerer) *rule {
	c.policy, c.doubts, c.kept = p, 0, keeps(kind)
	r := &rule{
		// Answers show these to people in terminals.
		name:       [1]core.PolicyRef{{ID: wire.Printable(p.ID), Name: wire.Printable(p.Name)}},
		conditions: &c.conditions.this,
		place:      int32(place),
	}
	c.who.this = c.compileWho(p)
	r.who = c.who.same((*who).differs)
	c.conditions.this = conditions{
		when: compileWhen(p), requesters: p.RequestedBy, job: p.FilterJob, children: p.Children,
		transient: p.Transient, session: p.Session, riskLevel: p.RiskLevel,
	}
	_, r.foreign = kind.(unknownKind)
	r.whom = c.compileWhom(p)
	r.where = c.compileWhere(p)
	r.signed = c.compileSigned(p)
	r.programs, r.open = c.compileWhat(p, kind)
	r.own = kind.compile(c, p)
	if folders, given := r.own.(*folderList); given && !folders.open {
		r.programs = append(r.programs, folders.inFolders(r.programs)...)
	}
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
	if p.Approval != nil {
		approval := *p.Approval
		approval.Policy = r.ref()
		r.approval = &approval
	}
	r.certain = !p.Doubtful && c.doubts == 0
	r.grants = (r.grants || r.demands != 0) && !c.kept
	if r.grants && !p.Doubtful && c.doubts == 0 {
		c.vain(r)
	}
	r.grants = r.grants && !r.denies && !p.Doubtful && c.doubts == 0
	if r.grants {
		r.terms, r.window = p.Grant, p.Automatic
	}
	if p.Status == MonitorAndNotify && p.Notification != "" {
		r.notice = &core.Notice{Text: wire.Printable(p.Notification), Acknowledge: p.Acknowledge}
	}
	if r.denies {
		r.refusal = refusal(r.name[:])
	}
	c.leadingStar(r)
	r.free = r.conditions.leaveOutNothing()
	r.conditions = c.conditions.same((*conditions).differs)
	return r
}

// denies reports whether p refuses what it meets.
func (c *compiler) denies(p *Policy) bool {
	return slices.ContainsFunc(p.Controls, func(control core.Control) bool { return c.table.Effect(control) == controls.Denies })
}

// vain says why a policy that means to grant never will.
func (c *compiler) vain(r *rule) {
	switch {
	case r.denies:
		c.path = "$.Actions.OnSuccess.Controls"
		c.doubt("a control that grants beside DENY", "one of them", "DENY wins: split the policy, or remove one of the two")
	case len(r.signed.entries) > 0 && !slices.ContainsFunc(r.signed.entries, signerEntry.grants):
		c.path = "$.CertificationCheck"
		c.doubt("signers by names or short ids alone", "a certificate, a key, or a CA", "others can have the same names and ids")
	}
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

// byID orders rules so that an answer does not depend on the order of files.
func byID(a, b *rule) int {
	return cmp.Or(cmp.Compare(a.name[0].ID, b.name[0].ID), cmp.Compare(a.name[0].Name, b.name[0].Name))
}

func sorted(rules []*rule) []*rule {
	slices.SortStableFunc(rules, byID)
	return rules
}

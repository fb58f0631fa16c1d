package policy

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
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
	who     who
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

// Compile gives policies their meaning on this machine. The findings are
// Doubts and Notes only: a policy that cannot be resolved still restricts.
func (e *Engine) Compile(policies []Policy, env Environment) (*Set, []Finding) {
	return e.CompileFiles([][]Policy{policies}, env)
}

// CompileFiles is Compile for the policies of many files, which it lets go of one after the
// other: all of them and all that becomes of them would be twice as much.
func (e *Engine) CompileFiles(files [][]Policy, env Environment) (*Set, []Finding) {
	c := &compiler{env: &env, table: e.controls}
	s := &Set{env: env, directories: env.directories()}
	for _, kind := range e.kinds {
		s.kinds = append(s.kinds, compiledKind{Kind: kind})
	}
	rules, place := room(files, s.kinds), 0
	many := 0
	for _, policies := range files {
		many += len(policies)
	}
	seen := make(map[string]bool, many)
	for at, policies := range files {
		for i := range policies {
			p := &policies[i]
			if seen[p.ID] {
				c.note(p, "$.PolicyId", "an id that another policy has", "an id of its own", "both apply, and answers do not tell them apart")
			}
			seen[p.ID] = true
			for k, kind := range s.kinds {
				answer := kind.answer
				if p.Type == "" { // of an unknown type: it may be about any question
					answer = unknownKind{}
				}
				if list := rules[k].of(kind.Kind, p); list != nil {
					*list = append(*list, c.rule(p, place, answer))
				}
			}
			place++
		}
		files[at], c.policy = nil, nil
	}
	for k := range s.kinds {
		s.kinds[k].enforcing, s.kinds[k].monitoring = newIndex(rules[k].enforcing, e.lists), newIndex(rules[k].monitoring, e.lists)
	}
	return s, c.findings
}

// ruleLists are the rules of one kind.
type ruleLists struct{ enforcing, monitoring []rule }

// of returns the list that a policy belongs into; nil if it says nothing about this kind.
func (l *ruleLists) of(kind Kind, p *Policy) *[]rule {
	switch {
	case p.Type != "" && !slices.Contains(kind.types, p.Type), p.Status == Off:
		return nil
	case p.Status == Monitor, p.Status == MonitorAndNotify:
		return &l.monitoring
	}
	return &l.enforcing
}

// room makes room for as many rules as there will be. A list that grows is copied again
// and again, and many policies would need several times what they need in the end.
func room(files [][]Policy, kinds []compiledKind) []ruleLists {
	rules := make([]ruleLists, len(kinds))
	for k := range rules {
		var enforcing, monitoring int
		for _, policies := range files {
			for i := range policies {
				switch rules[k].of(kinds[k].Kind, &policies[i]) {
				case nil:
				case &rules[k].enforcing:
					enforcing++
				default:
					monitoring++
				}
			}
		}
		rules[k].enforcing, rules[k].monitoring = make([]rule, 0, enforcing), make([]rule, 0, monitoring)
	}
	return rules
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

// compiler collects findings while it compiles one policy after the other.
type compiler struct {
	env      *Environment
	table    controls.Table
	findings []Finding
	policy   *Policy
	path     string
	earlier  []*conditions // of rules, each other than the rest
	doubts   int           // of the current policy
	kept     bool          // the current policy grants nothing, whatever it says
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

func (c *compiler) rule(p *Policy, place int, kind answerer) rule {
	c.policy, c.doubts, c.kept = p, 0, keeps(kind)
	r := rule{
		// Answers show these to people in terminals.
		name: [1]core.PolicyRef{{ID: wire.Printable(p.ID), Name: wire.Printable(p.Name)}},
		who:  c.compileWho(p),
		conditions: &conditions{
			when: compileWhen(p), requesters: p.RequestedBy, job: p.FilterJob, children: p.Children,
			transient: p.Transient, session: p.Session, riskLevel: p.RiskLevel,
		},
		place: int32(place),
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
		c.vain(&r)
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
	c.leadingStar(&r)
	r.free = r.conditions.leaveOutNothing()
	r.conditions = c.alike(r.conditions)
	return r
}

// maxAlike bounds with how many earlier conditions those of each rule are compared.
const maxAlike = 8

// alike returns earlier conditions that are the same in everything, or these. Nothing
// changes them any more.
func (c *compiler) alike(these *conditions) *conditions {
	for _, earlier := range c.earlier {
		if reflect.DeepEqual(earlier, these) {
			return earlier
		}
	}
	if len(c.earlier) < maxAlike {
		c.earlier = append(c.earlier, these)
	}
	return these
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
func byID(a, b rule) int {
	return cmp.Or(cmp.Compare(a.name[0].ID, b.name[0].ID), cmp.Compare(a.name[0].Name, b.name[0].Name))
}

func sorted(rules []rule) []rule {
	slices.SortStableFunc(rules, byID)
	return rules
}

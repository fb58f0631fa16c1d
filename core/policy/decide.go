package policy

import (
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/controls"
)

// maxDirectories bounds Environment.SecurePath, so that a decision keeps them without
// making garbage.
const maxDirectories = 8

// asked is a question in the form in which rules compare.
type asked struct {
	q                Question
	name, bare, user string
	target           string
	machine, hash    string
	moment           moment // see when
	momentKnown      bool
	arguments        []string // without argv[0]
	ownName          bool     // argv[0] is the program's own file name
	resolve          func(dir, path string) (string, bool)
	own              any // what the kind has made of Question.Own; nil for elevations

	links        []string // that lead to path, as policies name them
	path, base   string
	baseStrength strength // of a match by file name alone
	// What the caller may have meant, apart from path, restricts and never grants: the
	// path that was requested, if it is another, and the file names of what was
	// requested and of argv[0]. everywhere says which of these names were given without
	// a path, so that they stand for any place in directories; see others.
	named       string
	otherBases  [2]string
	everywhere  [2]bool
	directories []string
	spelled     []string // what others has returned
}

// when is the question's time on the machine's wall clock.
func (a *asked) when() *moment {
	if !a.momentKnown {
		a.moment, a.momentKnown = momentOf(a.q.Time), true
	}
	return &a.moment
}

// Decide answers a question. The order is: malformed or unknown questions are
// denied; administrators are allowed unless policy holds for them; any
// enforcing DENY wins; without a grant the answer is DENY; else the union of
// all controls is PENDING; else ALLOW (decision 30). The answer's slices are
// not to be changed: answers share them.
func (s *Set) Decide(q Question) core.Decision {
	kind := s.of(q.Kind)
	if kind == nil {
		return core.Decision{Outcome: core.Deny, Message: "This release decides about elevations only, so the question was refused."}
	}
	var a asked
	if !s.ask(kind, q, &a) {
		return core.Decision{Outcome: core.Deny, Message: "The question does not say who asks, or for which absolute path, so it was refused."}
	}
	if q.Administrator && !s.env.EnforceForAdministrators {
		return core.Decision{Outcome: core.Allow, Message: "The administrator account (root) is not subject to policy on this machine (policy.enforceForAdministrators)."}
	}
	var buffer [24]hit
	d := kind.enforcing.decide(&a, kind.enforcing.find(&a, buffer[:0]))
	if keeps(kind.answer) && len(d.Policies) == 0 {
		d.Message = "This release grants nothing by policies of type " + kind.types[0] + ", so the question was refused."
	}
	return d
}

// tally is what the rules that a question meets come to.
type tally struct {
	denied, granted bool
	demands         controls.Set
}

func (x *index) tally(found hits) (t tally) {
	for _, h := range found {
		r := &x.rules[h.rule]
		t.denied = t.denied || r.denies
		t.granted = t.granted || r.grants && h.by == full
		t.demands |= r.demands
	}
	return t
}

func (t *tally) add(other tally) {
	t.denied, t.granted, t.demands = t.denied || other.denied, t.granted || other.granted, t.demands|other.demands
}

func (t *tally) outcome() core.Outcome {
	switch {
	case t.denied || !t.granted:
		return core.Deny
	case t.demands != 0:
		return core.Pending
	}
	return core.Allow
}

// decide combines what was met. Hits may come in any order and more than once.
func (x *index) decide(a *asked, found hits) core.Decision {
	t := x.tally(found)
	switch {
	case t.denied:
		by := x.refs(found, func(r *rule, _ strength) bool { return r.denies })
		if len(by) > 1 {
			return core.Decision{Outcome: core.Deny, Policies: by, Message: refusal(by)}
		}
		return core.Decision{Outcome: core.Deny, Policies: by, Message: x.refusalOf(found)}
	case !t.granted:
		return core.Decision{Outcome: core.Deny, Uncovered: t.demands == 0, Message: notCovered}
	}
	paths, still := x.opened(a, found)
	if !still {
		return core.Decision{Outcome: core.Deny, Message: notCovered}
	}
	if t.outcome() == core.Pending {
		by := x.refs(found, func(r *rule, _ strength) bool { return r.demands != 0 })
		approvals, ok := x.approvals(a, found)
		if !ok {
			return core.Decision{Outcome: core.Deny, Policies: by, Message: tooManyApprovals}
		}
		return core.Decision{Outcome: core.Pending, Controls: x.controls[t.demands], Policies: by, Paths: paths, Approvals: approvals, Demands: x.demands(found), Account: x.transient(found), Session: x.session(found)}
	}
	by := x.refs(found, func(r *rule, by strength) bool { return r.grants && by == full })
	return core.Decision{Outcome: core.Allow, Policies: by, Paths: paths, Account: x.transient(found), Session: x.session(found)}
}

// tooManyApprovals is said where no answer has room for all approvers.
var tooManyApprovals = fmt.Sprintf("More than %d policies ask for approval of this, so it is refused. Ask the person who manages this machine's policies to join them.", core.MaxApprovalRules)

// approvals returns whom the policies that were met want to approve, in id order;
// false if there are more than an answer can say. found is sorted.
func (x *index) approvals(a *asked, found hits) (list []core.ApprovalRule, ok bool) {
	last := int32(-1)
	for _, h := range found {
		r := &x.rules[h.rule]
		if r.approval == nil {
			continue
		}
		if h.rule != last {
			list, last = append(list, *r.approval), h.rule
		}
		if h.by == full { // who is only restricted by it is approved by people
			list[len(list)-1].Automatic = r.window.automatic(a.q.Time)
		}
	}
	return list, len(list) <= core.MaxApprovalRules
}

// opener is a filter that decides on arguments as files.
type opener interface {
	// opened returns them, nil if the text alone is enough, and whether the
	// filter is met.
	opened(a asked) (paths []core.PathArgument, met bool)
}

// opened returns the arguments that the grant depends on as files: those of the
// first policy that grants, unless another grants by text alone. It reports false
// if none grants any more.
func (x *index) opened(a *asked, found hits) (first []core.PathArgument, still bool) {
	slices.SortFunc(found, func(a, b hit) int { return int(a.rule) - int(b.rule) })
	for _, h := range found {
		r := &x.rules[h.rule]
		if !r.grants || h.by != full {
			continue
		}
		own, ok := r.own.(opener)
		if !ok {
			return nil, true
		}
		paths, met := own.opened(*a)
		switch {
		case met && paths == nil:
			return nil, true
		case met && first == nil:
			first = paths
		}
	}
	return first, first != nil
}

// demands says which policy asks for what; nil unless one of them lets it be
// remembered. found is sorted.
func (x *index) demands(found hits) []core.Demand {
	if !slices.ContainsFunc(found, func(h hit) bool { return x.rules[h.rule].terms != nil && h.by == full }) {
		return nil
	}
	var list []core.Demand
	last := int32(-1)
	for _, h := range found {
		r := &x.rules[h.rule]
		if r.demands == 0 {
			continue
		}
		if h.rule != last {
			list, last = append(list, core.Demand{PolicyRef: r.ref(), Controls: x.controls[r.demands]}), h.rule
		}
		if h.by == full { // who is only restricted by it is remembered nothing
			list[len(list)-1].Grant = r.terms
		}
	}
	return list
}

func (x *index) refusalOf(found hits) string {
	for _, h := range found {
		if r := &x.rules[h.rule]; r.denies {
			return r.refusal
		}
	}
	return notCovered
}

// refs names the chosen rules in id order, each once.
func (x *index) refs(found hits, chosen func(*rule, strength) bool) []core.PolicyRef {
	slices.SortFunc(found, func(a, b hit) int { return int(a.rule) - int(b.rule) })
	list, last := []core.PolicyRef{}, int32(-1)
	for _, h := range found {
		r := &x.rules[h.rule]
		switch {
		case h.rule == last || !chosen(r, h.by):
			continue
		case len(list) == 0:
			list = r.name[:] // has no room for another: to append one makes a copy
		default:
			list = append(list, r.ref())
		}
		last = h.rule
	}
	return list
}

// ask prepares q: who asks, where, when, with which program and arguments, and
// what the kind makes of the rest. It reports false if q is not a question that
// can be decided.
func (s *Set) ask(kind *compiledKind, q Question, a *asked) bool {
	resolved := s.env.slashes(q.Path)
	if len(s.directories) > maxDirectories || q.User == "" || q.UserName == "" || !s.env.absolute(resolved) || strings.IndexByte(resolved, 0) >= 0 {
		return false
	}
	own, ok := kind.answer.own(q.Own)
	if !ok {
		return false
	}
	a.q, a.own, a.directories = q, own, s.directories
	a.name, a.user = s.env.fold(q.UserName), string(q.User)
	a.bare = bareName(a.name)
	for _, names := range [...]*[]string{&a.q.OtherNames, &a.q.GroupNames, &a.q.DoubtfulGroupNames, &a.q.MissingGroups} {
		*names = s.env.foldAll(*names)
	}
	a.target = s.env.fold(q.TargetName)
	a.machine = machineName(q.Machine)
	a.hash = strings.ToLower(q.Hash)
	a.resolve = s.env.Resolve
	a.path, a.links = s.env.follow(resolved), q.Links
	dir, base := splitPath(a.path)
	a.base, a.baseStrength = base, restricts
	if slices.Contains(s.directories, dir) {
		a.baseStrength = full
	}
	requested := s.env.slashes(q.Requested)
	switch {
	case requested == resolved: // nothing else can be meant
	case strings.Contains(requested, "/"):
		named := s.env.follow(s.env.clean(requested))
		_, a.otherBases[0] = splitPath(named)
		if named != a.path {
			a.named = named
		}
	case requested != "":
		a.otherBases[0], a.everywhere[0] = requested, true
	}
	if len(q.Arguments) > 0 {
		a.arguments = q.Arguments[1:]
		s.called(q.Arguments[0], requested, a)
	}
	return true
}

// called looks at argv[0], which is the caller's to choose and tells many a
// program what it is to be: systemctl that is called reboot restarts the
// machine.
func (s *Set) called(name, requested string, a *asked) {
	_, name = splitPath(s.env.slashes(name))
	a.ownName = name == a.base || s.env.Platform == core.Windows // few programs look at it there
	if !a.ownName && name != requested && name != "" {
		a.otherBases[1], a.everywhere[1] = name, true
	}
}

// others returns what the caller may have meant, apart from path: what was named by a
// path, and every place on the secure path that a bare name stands for. Which link the
// service followed is not known here, and a DENY of /usr/bin/vi must hold for someone
// who types "vi". Few questions need them as text; see index.find.
func (a *asked) others() []string {
	if a.spelled != nil || a.named == "" && a.everywhere == [2]bool{} {
		return a.spelled
	}
	list, size := make([]string, 0, 1+2*maxDirectories), 0
	if a.named != "" {
		list = append(list, a.named)
	}
	for _, dir := range a.directories {
		size += 2*(len(dir)+1) + len(a.otherBases[0]) + len(a.otherBases[1])
	}
	var b strings.Builder // one allocation for all of them
	b.Grow(size)
	a.places(func(dir, name string) {
		from := b.Len()
		b.WriteString(dir)
		b.WriteByte('/')
		b.WriteString(name)
		list = append(list, b.String()[from:])
	})
	a.spelled = list
	return list
}

// places calls do with the directory and the name of every place that a bare name stands
// for. Among them may be path.
func (a *asked) places(do func(dir, name string)) {
	for i, name := range a.otherBases {
		if !a.everywhere[i] {
			continue
		}
		for _, dir := range a.directories {
			do(dir, name)
		}
	}
}

func splitPath(p string) (dir, base string) {
	at := strings.LastIndexByte(p, '/')
	return p[:max(at, 0)], p[at+1:]
}

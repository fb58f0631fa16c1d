package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/span"
	"kpm/core/strictjson"
)

// Keys of Extension that every kind has which answers questions.
var (
	sharedKeys = []string{"CustomFilterJobId", "RequestedBy", "Grant", "ChildProcesses", windowKey}
	grantKeys  = []string{"For", "Uses", "PerDay", "CoolDown", "Renewals", "Covers", "Automatic"}
)

// maxCount bounds the numbers of a grant.
const maxCount = 1000

// requesters is a set of core.Requester: bit n is that of the nth.
type requesters uint8

func requesterBit(by core.Requester) requesters {
	switch by {
	case core.ByTerminal:
		return 1
	case core.ByDesktop:
		return 2
	case core.ByService:
		return 4
	case core.ByAgent:
		return 8
	}
	return 0
}

// names are the words of a policy for it.
func (s requesters) names() (list []string) {
	for _, by := range core.Requesters() {
		if s&requesterBit(by) != 0 {
			list = append(list, string(by))
		}
	}
	return list
}

// ChildRule says what programs may be started by one that a policy has allowed.
type ChildRule uint8

// The rules from the loosest to the strictest.
const (
	// ChildrenInherit: they may be started as their parent was. It is what a policy
	// without a rule says.
	ChildrenInherit ChildRule = iota
	// ChildrenOwnRule: those alone that policies allow by themselves.
	ChildrenOwnRule
	// ChildrenDenied: none.
	ChildrenDenied
)

var childRules = [...]string{"inherit", "own-rule", "deny"}

// String is the word that policies use.
func (c ChildRule) String() string { return childRules[c] }

// extension reads what a kind adds to what all of them have. A key that we do not
// know may restrict, and we cannot know how: the policy grants nothing.
func (r *reader) extension(p *Policy, f fields, kind answerer) {
	v, given := f.filled("Extension")
	if !given {
		return
	}
	if r.kept { // it is for others, who know its keys
		if list, ok := r.members(v, "$.Extension"); ok {
			kind.read(r, p, theirs(list, kind.extension()))
		}
		return
	}
	list, ok := r.members(v, "$.Extension")
	if !ok {
		return
	}
	e := r.collect(list, "$.Extension", append(slices.Clone(kind.extension()), sharedKeys...))
	p.FilterJob = r.filterJob(e)
	r.requestedBy(p, e)
	r.grant(p, e)
	r.children(p, e)
	r.window(p, e)
	kind.read(r, p, e)
}

// theirs sorts the members that a kind knows, and leaves all others alone.
func theirs(list []strictjson.Member, known []string) fields {
	f := fields{path: "$.Extension"}
	for _, m := range list {
		if k := find(known, m.Key, foldEqual); k != "" {
			if slices.ContainsFunc(f.known, func(other strictjson.Member) bool { return other.Key == k }) {
				f.slips = append(f.slips, strictjson.Member{Key: k, Value: m.Value})
			}
			f.known = append(f.known, strictjson.Member{Key: k, Value: m.Value})
		} else if k := find(known, m.Key, fault.OneSlip); k != "" {
			f.slips = append(f.slips, strictjson.Member{Key: k, Value: m.Value})
		}
	}
	return f
}

// filterJob reads CustomFilterJobId.
func (r *reader) filterJob(e fields) string {
	id := r.text(e, "CustomFilterJobId")
	if id != "" && (!core.ValidName(id) || strings.Contains(id, "_")) {
		r.doubt(e.get("CustomFilterJobId"), "$.Extension.CustomFilterJobId", fault.Text(id), "the id of a job: 1 to 64 letters, digits, dots and hyphens", "")
	}
	return id
}

// requestedBy reads RequestedBy. What cannot be read whole narrows nothing.
func (r *reader) requestedBy(p *Policy, e fields) {
	const path = "$.Extension.RequestedBy"
	v, given := e.filled("RequestedBy")
	if !given {
		return
	}
	words, whole := r.narrow(v, path)
	if !whole {
		return
	}
	if len(words) == 0 {
		r.doubt(v, path, "an empty list", `"terminal", "desktop", "service" or "agent"`, "leave the key out if it does not matter who asks")
		return
	}
	var set requesters
	for i, word := range words {
		bit := requesterBit(core.Requester(strings.ToLower(word)))
		if bit == 0 {
			r.doubt(v, fault.Item(path, i), fault.Text(word), `"terminal", "desktop", "service" or "agent"`, "")
			return
		}
		set |= bit
	}
	p.RequestedBy = set
}

// grant reads Grant. What is wrong in it costs the policy its grant, and nothing
// that it asks for is remembered.
func (r *reader) grant(p *Policy, e fields) {
	const path = "$.Extension.Grant"
	v, given := e.filled("Grant")
	if !given {
		return
	}
	before := len(r.findings)
	g := r.object(v, path, grantKeys)
	terms := core.GrantTerms{
		For: r.span(g, "For"), PerDay: r.span(g, "PerDay"), CoolDown: r.span(g, "CoolDown"),
		Uses: r.count(g, "Uses"), Renewals: r.count(g, "Renewals"),
		Automatic: r.flag(g, "Automatic"), Agents: p.RequestedBy&requesterBit(core.ByAgent) != 0,
	}
	switch text := r.text(g, "Covers"); {
	case text == "", foldEqual(text, "command"):
	case foldEqual(text, "policy"):
		terms.Everything = true
	case foldEqual(text, "administrator"):
		terms.Everything, terms.Administrator = true, true
	default:
		r.doubt(g.get("Covers"), path+".Covers", fault.Text(text), `"command", "policy" or "administrator"`, "")
	}
	if !g.get("For").Given() {
		r.doubt(v, path+".For", "none", `for how long, such as "30m"`, "what is given for a time has to end")
	}
	switch doubts := len(r.findings) > before; {
	case doubts:
	case !slices.ContainsFunc(p.Controls, func(c core.Control) bool { return r.table.Bit(c) != 0 }):
		r.note(v, path, "a grant in a policy that asks for nothing", "a control to be satisfied", "there is nothing that need not be asked again")
	default:
		p.Grant = &terms
	}
}

// span reads a duration; absent is none. A bare number is a fault: nobody can tell
// minutes from seconds, and 0 is "never" to some and "for ever" to others.
func (r *reader) span(g fields, key string) span.Span {
	v, given := g.filled(key)
	if !given {
		return 0
	}
	path := g.path + "." + key
	text, problem := plain(v)
	if v.IsNumber() {
		text, problem = v.Text(), ""
	}
	if problem != "" {
		r.doubt(v, path, problem, `a duration with a unit, such as "30m"`, "")
		return 0
	}
	d, err := span.Parse(text)
	if err != nil {
		r.doubt(v, path, fault.Raw(text), `a duration with a unit, such as "30m"`, "it is "+err.Error())
	}
	return span.Span(d)
}

// count reads a whole number from 1; absent is 0.
func (r *reader) count(g fields, key string) int {
	v, given := g.filled(key)
	if !given {
		return 0
	}
	n, err := strconv.Atoi(v.Text())
	if !v.IsNumber() || err != nil || n < 1 || n > maxCount {
		r.doubt(v, g.path+"."+key, describe(v), fmt.Sprintf("a whole number from 1 to %d", maxCount), "leave it out to mean none")
		return 0
	}
	return n
}

func (r *reader) flag(g fields, key string) bool {
	v, given := g.filled(key)
	if given && !v.IsBool() {
		r.doubt(v, g.path+"."+key, describe(v), "true or false", "")
	}
	return given && v.IsBool() && v.Text() == "true"
}

// children reads ChildProcesses.
func (r *reader) children(p *Policy, e fields) {
	text := r.text(e, "ChildProcesses")
	if text == "" {
		return
	}
	for rule, word := range childRules {
		if foldEqual(text, word) {
			p.Children = ChildRule(rule)
			return
		}
	}
	p.Children = ChildrenDenied
	r.doubt(e.get("ChildProcesses"), "$.Extension.ChildProcesses", fault.Text(text), `"inherit", "own-rule" or "deny"`, "")
}

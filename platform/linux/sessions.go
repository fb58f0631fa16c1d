//go:build linux

package linux

import (
	"bytes"
	"slices"
	"strings"

	"kpm/core"
)

// sessions are the session groups of one question.
type sessions struct {
	groups   map[int]group    // by their index in the question
	byLeader map[int][]int    // pid of the leader to those indexes
	byTag    map[string][]int // tag to those indexes
	tagged   uint64           // when the first that has a tag was started
}

func newSessions() *sessions {
	return &sessions{groups: map[int]group{}, byLeader: map[int][]int{}, byTag: map[string][]int{}}
}

func (ss *sessions) add(g group, at int) {
	ss.groups[at] = g
	ss.byLeader[g.root.PID] = append(ss.byLeader[g.root.PID], at)
	if g.tag == "" {
		return
	}
	if len(ss.byTag) == 0 || g.root.Start < ss.tagged {
		ss.tagged = g.root.Start
	}
	ss.byTag[g.tag] = append(ss.byTag[g.tag], at)
}

// String implements fmt.Stringer: whose groups they are.
func (ss *sessions) String() string {
	var roots []string
	for _, g := range ss.groups {
		roots = append(roots, g.root.String())
	}
	slices.Sort(roots)
	return strings.Join(roots, ", ")
}

// each calls member once for each of all that lives and is in a group: in its session,
// with its tag, or descended from one of whom that is true. The ascent ends at the first
// process and at self.
//
// Attack: thousands of processes descend from each other, or carry a tag a thousand times.
// So each process is looked at once, and a group counts once for each.
func (ss *sessions) each(all map[int]procStat, self int, ask asking, member func(id core.ProcessID, of []int)) {
	known := map[int][]int{1: nil, self: nil}
	var of func(s procStat) []int
	of = func(s procStat) []int {
		if groups, done := known[s.pid]; done {
			return groups
		}
		known[s.pid] = nil // a parent that changes meanwhile cannot make a circle
		var groups []int
		// A parent that is younger is a later process with its number.
		if parent, ok := all[s.parent]; ok && parent.start <= s.start {
			groups = of(parent)
		}
		groups = ss.direct(groups, s, ask)
		known[s.pid] = groups
		return groups
	}
	for _, s := range all {
		if groups := of(s); len(groups) > 0 && !s.dead() {
			member(s.id(), groups)
		}
	}
}

// direct returns groups and those that s is in by its session or its tag.
func (ss *sessions) direct(groups []int, s procStat, ask asking) []int {
	also := func(at int) {
		if !slices.Contains(groups, at) {
			groups = append(slices.Clip(groups), at) // the parent's are the parent's
		}
	}
	for _, at := range ss.byLeader[s.session] {
		if s.inSession(ss.groups[at].root) {
			also(at)
		}
	}
	// Who was started before a group has none of its tags.
	if len(ss.byTag) == 0 || s.start < ss.tagged {
		return groups
	}
	for variable := range bytes.SplitSeq(ask(environOf(s.pid)), []byte{0}) {
		for _, at := range ss.byTag[string(variable)] {
			if s.start >= ss.groups[at].root.Start {
				also(at)
			}
		}
	}
	return groups
}

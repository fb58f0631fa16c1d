package policy

import "kpm/core"

// index finds the rules whose program entry can meet a question, without
// looking at the others: by hash, by whole path, by file name, by the literal
// beginning of a pattern; what has none of these is looked at every time.
// Below each of those, large groups are divided by user.
type index struct {
	rules    []rule
	controls [][]core.Control // of every set of them (controls.Table.Lists)
	hashes   map[string]*bucket
	paths    map[string]*bucket
	names    map[string]*bucket
	heads    map[string]*bucket // patterns by the text before their first "*"
	lengths  []int              // of the keys of heads, ascending
	rest     bucket             // name patterns, "*", and rules open to every program
	// passed has an answer that passes for every filter job; nil without any.
	passed map[string]FilterAnswer
}

// posting is one program entry of one rule. entry is -1 for a rule that is
// open to every program.
type posting struct{ rule, entry int32 }

// bucket holds the postings under one key.
type bucket struct {
	all     []posting // to look at for everyone
	byName  map[string][]posting
	byID    map[string][]posting
	byGroup map[string][]posting
	// byGroupName holds what byGroup does for names; grouped are those of both, for
	// a user of whom it is not known in which groups they are.
	byGroupName map[string][]posting
	grouped     []posting
}

// divideAbove is the size from which dividing a bucket by user pays.
const divideAbove = 16

// newIndex takes rules, which it lets go of: it has them beside each other, as they are
// looked at.
func newIndex(rules []*rule, lists [][]core.Control) index {
	x := index{
		rules: make([]rule, len(rules)), controls: lists,
		hashes: map[string]*bucket{}, paths: map[string]*bucket{},
		names: map[string]*bucket{}, heads: map[string]*bucket{},
	}
	for i, r := range sorted(rules) {
		x.rules[i], rules[i] = *r, nil
		if r.job != "" {
			if x.passed == nil {
				x.passed = map[string]FilterAnswer{}
			}
			x.passed[r.job] = FilterPassed
		}
		if r.open {
			x.rest.all = append(x.rest.all, posting{int32(i), -1})
		}
		for j := range r.programs {
			b := x.bucketFor(&r.programs[j])
			b.all = append(b.all, posting{int32(i), int32(j)})
		}
	}
	x.rest.divide(x.rules)
	for _, group := range []map[string]*bucket{x.hashes, x.paths, x.names, x.heads} {
		for _, b := range group {
			b.divide(x.rules)
		}
	}
	return x
}

func (x *index) bucketFor(p *program) *bucket {
	group, key := x.names, p.text
	switch p.kind {
	case byHash:
		group = x.hashes
	case byPath:
		group = x.paths
	case byPattern:
		if p.glob.prefix == "" {
			return &x.rest
		}
		group, key = x.heads, p.glob.prefix
		x.addLength(len(key))
	case byNamePattern, byAnything:
		return &x.rest
	}
	b := group[key]
	if b == nil {
		b = &bucket{}
		group[key] = b
	}
	return b
}

func (x *index) addLength(n int) {
	at := 0
	for at < len(x.lengths) && x.lengths[at] < n {
		at++
	}
	if at < len(x.lengths) && x.lengths[at] == n {
		return
	}
	x.lengths = append(x.lengths, 0)
	copy(x.lengths[at+1:], x.lengths[at:])
	x.lengths[at] = n
}

// divide moves the postings of rules for named users under their users.
func (b *bucket) divide(rules []rule) {
	if len(b.all) <= divideAbove {
		return
	}
	b.byName, b.byID, b.byGroup, b.byGroupName = map[string][]posting{}, map[string][]posting{}, map[string][]posting{}, map[string][]posting{}
	var stay []posting
	for _, p := range b.all {
		w := rules[p.rule].who
		if w.any || w.open {
			stay = append(stay, p)
			continue
		}
		for _, key := range w.names {
			b.byName[key] = append(b.byName[key], p)
		}
		for _, key := range w.ids {
			b.byID[key] = append(b.byID[key], p)
		}
		for _, key := range w.groups {
			b.byGroup[key] = append(b.byGroup[key], p)
		}
		for _, key := range w.groupNames {
			b.byGroupName[key] = append(b.byGroupName[key], p)
		}
		if len(w.groups) > 0 || len(w.groupNames) > 0 {
			b.grouped = append(b.grouped, p)
		}
	}
	b.all = stay
}

// hit is a rule that a question meets.
type hit struct {
	rule int32
	by   strength
}

// hits collects what a question meets. A rule may appear more than once.
type hits []hit

// find returns the rules that a meets, by rule and then by strength.
func (x *index) find(a *asked, found hits) hits {
	found = x.look(&x.rest, a, found)
	if a.hash != "" {
		found = x.look(x.hashes[a.hash], a, found)
	}
	found = x.look(x.names[a.base], a, found)
	for _, other := range a.otherBases {
		if other != "" && other != a.base {
			found = x.look(x.names[other], a, found)
		}
	}
	var room [256]byte // for paths as they are looked for
	found = x.lookPath(append(room[:0], a.path...), a, found)
	if a.named != "" {
		found = x.lookPath(append(room[:0], a.named...), a, found)
	}
	a.places(func(dir, name string) {
		path := append(append(append(room[:0], dir...), '/'), name...)
		if string(path) != a.path {
			found = x.lookPath(path, a, found)
		}
	})
	for _, link := range a.links {
		if _, base := splitPath(link); base != a.base {
			found = x.look(x.names[base], a, found)
		}
		found = x.lookPath(append(room[:0], link...), a, found)
	}
	return found
}

// lookPath is given a path as bytes, of which a key of a map needs no copy.
func (x *index) lookPath(path []byte, a *asked, found hits) hits {
	found = x.look(x.paths[string(path)], a, found)
	for _, n := range x.lengths {
		if n > len(path) {
			break
		}
		found = x.look(x.heads[string(path[:n])], a, found)
	}
	return found
}

func (x *index) look(b *bucket, a *asked, found hits) hits {
	if b == nil {
		return found
	}
	found = x.try(b.all, a, found)
	if b.byName == nil {
		return found
	}
	found = x.try(b.byName[a.name], a, found)
	if a.bare != a.name {
		found = x.try(b.byName[a.bare], a, found)
	}
	for _, name := range a.q.OtherNames {
		found = x.try(b.byName[name], a, found)
	}
	found = x.try(b.byID[a.user], a, found)
	if a.q.GroupsUnknown {
		return x.try(b.grouped, a, found)
	}
	for _, list := range [...][]string{a.q.Groups, a.q.DoubtfulGroups} {
		for _, group := range list {
			found = x.try(b.byGroup[group], a, found)
		}
	}
	for _, list := range [...][]string{a.q.GroupNames, a.q.DoubtfulGroupNames, a.q.MissingGroups} {
		for _, name := range list {
			found = x.try(b.byGroupName[name], a, found)
			if bare := bareName(name); bare != name {
				found = x.try(b.byGroupName[bare], a, found)
			}
		}
	}
	return found
}

func (x *index) try(postings []posting, a *asked, found hits) hits {
	for _, p := range postings {
		r := &x.rules[p.rule]
		by := restricts
		if p.entry >= 0 {
			by = r.programs[p.entry].match(a)
		}
		if by == nothing {
			continue
		}
		if by = r.meets(a, by); by != nothing {
			found = append(found, hit{p.rule, by})
		}
	}
	return found
}

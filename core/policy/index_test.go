package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
)

// someHash is a program's.
var someHash = strings.Repeat("ab", 32)

// The entries under each of which the index keeps its rules.
var indexed = map[string][]string{
	"hash": {someHash}, "path": {"/usr/bin/apt"}, "name": {"apt"}, "beginning": {"/usr/bin/a*"},
	"pattern of names": {"ap*"}, "pattern without a beginning": {"*/apt"}, "everything": {"*"}, "nothing written": {},
}

// crowd is n policies for users of their own and one for each way of naming a user.
func crowd(apps []string, n int) []sketch {
	var list []sketch
	for i := range n {
		list = append(list, sketch{id: fmt.Sprintf("other%02d", i), controls: "JUSTIFY", apps: apps, users: []string{fmt.Sprintf("user%d", i)}})
	}
	for id, users := range map[string][]string{
		"by-name": {"zoe", "alice"}, "by-uid": {"#7", "#1000"}, "by-gid": {"%#7", "%#10"}, "everyone": {"*", "bob"}, "nobody": {},
		"unresolved": {"%nosuch"}, "with-domain": {`CORP\alice`}, "twice": {"alice", "#1000", "%wheel", "alice"},
	} {
		list = append(list, sketch{id: id, controls: "JUSTIFY", apps: apps, users: users})
	}
	return list
}

// However many policies there are under one entry, everyone meets the same ones.
func TestTheIndexMeetsTheSameInACrowd(t *testing.T) {
	alice := ask("/usr/bin/apt", "apt", "apt")
	alice.Hash = someHash
	as := func(uid, name string, groups ...string) Question {
		q := alice
		q.User, q.UserName, q.Groups, q.GroupNames = core.UserID(uid), name, groups, nil
		if slices.Contains(groups, "10") {
			q.GroupNames = []string{"wheel"}
		}
		return q
	}
	for _, tc := range []struct {
		name string
		q    Question
		want []string
	}{
		{"by all names", alice, []string{"by-gid", "by-name", "by-uid", "everyone", "nobody", "twice", "unresolved"}},
		{"by uid alone", as("1000", "al"), []string{"by-uid", "everyone", "nobody", "twice", "unresolved"}},
		{"by the second group", as("5", "al", "34", "10"), []string{"by-gid", "everyone", "nobody", "twice", "unresolved"}},
		{"with a domain", as("5", `CORP\alice`), []string{"by-name", "everyone", "nobody", "twice", "unresolved", "with-domain"}},
		{"somebody else", as("5", "eve"), []string{"everyone", "nobody", "unresolved"}},
	} {
		for kind, apps := range indexed {
			for _, n := range []int{0, divideAbove - 8, divideAbove - 7, 3 * divideAbove} { // with the other eight: one below, at and above
				policies := append(crowd(apps, n), sketch{id: "all", controls: "ALLOW"})
				got := compileSketches(t, linux(), policies...).Decide(tc.q)
				if got.Outcome != core.Pending || !cmp.Equal(ids(got.Policies), tc.want) {
					t.Errorf("%s, under %s, %d others: %s by %v", tc.name, kind, n, got.Outcome, ids(got.Policies))
				}
			}
		}
	}
}

// A bucket of many users' rules is looked at by user, so that a decision takes as
// long with a thousand as with ten.
func TestACrowdIsDividedByUser(t *testing.T) {
	for kind, apps := range indexed {
		if len(apps) == 0 {
			continue // everyone is restricted: nothing to divide
		}
		set := compileSketches(t, linux(), crowd(apps, 3*divideAbove)...)
		x := &set.of(TypePrivilegeElevation).enforcing
		buckets := []*bucket{&x.rest}
		for _, group := range []map[string]*bucket{x.hashes, x.paths, x.names, x.heads} {
			for _, b := range group {
				buckets = append(buckets, b)
			}
		}
		for _, b := range buckets {
			for _, p := range b.all {
				if w := x.rules[p.rule].who; !w.any && !w.open {
					t.Errorf("under %s: %s is looked at for everyone", kind, x.rules[p.rule].ref().ID)
				}
			}
			for name, list := range b.byName {
				if limit := map[bool]int{true: 2, false: 1}[name == "alice"]; len(list) > limit {
					t.Errorf("under %s: %d rules for %s", kind, len(list), name)
				}
			}
		}
	}
}

// Beginnings of any length, in any order, are all looked at.
func TestBeginningsOfManyLengths(t *testing.T) {
	beginnings := []string{"/opt/b*", "/o*", "/opt/box/tool*", "/opt/bo*", "/*", "/opt/box/tools*", "/srv/a*", "/opt/box/to*"}
	for range beginnings {
		beginnings = append(beginnings[1:], beginnings[0])
		var policies []sketch
		for i, b := range beginnings { // rules are looked at in the order of their ids
			policies = append(policies, sketch{id: fmt.Sprint(i, b), controls: "ALLOW", apps: []string{b}})
		}
		set := compileSketches(t, linux(), policies...)
		got := ids(set.Decide(ask("/opt/box/tool", "/opt/box/tool", "tool")).Policies)
		for i := range got {
			got[i] = got[i][1:]
		}
		slices.Sort(got)
		if want := []string{"/*", "/o*", "/opt/b*", "/opt/bo*", "/opt/box/to*", "/opt/box/tool*"}; !cmp.Equal(got, want) {
			t.Errorf("%v: %v", beginnings, got)
		}
		if x := &set.of(TypePrivilegeElevation).enforcing; !slices.IsSorted(x.lengths) || len(slices.Compact(slices.Clone(x.lengths))) != len(x.lengths) {
			t.Errorf("lengths %v", x.lengths)
		}
	}
}

// One rule may be met by several of its entries, and by entries of several kinds:
// it is named once, by the best of them.
func TestARuleThatIsMetInManyWays(t *testing.T) {
	q := ask("/usr/bin/vim.basic", "/usr/bin/vi", "vi")
	q.Hash = someHash
	for _, apps := range [][]string{
		{"/usr/bin/vi", "vim.basic"}, {"vim.basic", "/usr/bin/vi"}, {"vi", someHash}, {"/usr/bin/v*", "vi", "*"}, {"/usr/bin/vi", "/nowhere/*", "*/vim.basic"},
	} {
		got := compileSketches(t, linux(), sketch{id: "a", controls: "ALLOW", apps: apps}, sketch{id: "b", controls: "NOTIFY", apps: apps}).Decide(q)
		if got.Outcome != core.Allow || !cmp.Equal(ids(got.Policies), []string{"a"}) {
			t.Errorf("%v: %s by %v", apps, got.Outcome, ids(got.Policies))
		}
	}
}

//go:build linux

package linux

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"kpm/core"
)

// Of the processes of a machine, these are in the groups that are asked for. Their numbers
// are greater than any that the kernel gives, so that none of them lives here.
func TestMembersOfSessions(t *testing.T) {
	const self, root, other = 1 << 23, 1<<23 + 10, 1<<23 + 20
	ss := newSessions()
	ss.add(group{root: core.ProcessID{PID: root, Start: 100}, tag: "TAG=root"}, 4)
	ss.add(group{root: core.ProcessID{PID: other, Start: 200}}, 7)
	all := map[int]procStat{}
	put := func(pid, parent, session int, start uint64) {
		all[pid] = procStat{pid: pid, state: 'S', parent: parent, session: session, start: start}
	}
	put(1, 0, 1, 1)
	put(self, 1, root, 100) // a service that an elevation has started must not end itself
	put(root, self, root, 100)
	put(root+1, root, root+1, 101)     // descends from it
	put(root+2, 1, root, 102)          // is in its session
	put(root+3, 1, root+3, 103)        // has its tag
	put(root+4, root+3, root+4, 104)   // descends from who has it
	put(root+5, 1, root+5, 99)         // has its tag, but was there before
	put(root+6, 1, root, 99)           // is in an earlier session of that number
	put(root+7, 1, root+7, 105)        // has nothing to do with it
	put(root+8, root+9, root+8, 106)   // is its own grandparent
	put(root+9, root+8, root+9, 106)   //
	put(root+15, root, root+15, 107)   // has ended
	put(root+16, root+17, root+16, 99) // its parent's number is a member's now
	put(root+17, root, root+17, 108)
	put(other, root+1, other, 200)    // an elevation in the elevation
	put(other+1, other, other+1, 201) // and what descends from that
	ended := all[root+15]
	ended.state = 'Z'
	all[root+15] = ended
	ask := func(environ string) environment {
		switch environ {
		case environOf(root + 3), environOf(root + 5):
			return environment("A=1\x00TAG=root\x00TAG=root\x00B=2\x00")
		}
		return nil
	}
	got := map[int]string{}
	ss.each(all, self, ask, func(id core.ProcessID, of []int) {
		if _, twice := got[id.PID]; twice || id.Start != all[id.PID].start {
			t.Errorf("%s is a member twice, or at another time", id)
		}
		got[id.PID] = fmt.Sprint(slices.Sorted(slices.Values(of)))
	})
	want := map[int]string{
		root: "[4]", root + 1: "[4]", root + 2: "[4]", root + 3: "[4]", root + 4: "[4]", root + 17: "[4]", other: "[4 7]", other + 1: "[4 7]",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Attack: a command's processes descend from each other, by the thousand, and carry its tag
// by the thousand.
func TestALongLineOfMembers(t *testing.T) {
	const root, length = 1 << 23, 100_000
	ss := newSessions()
	ss.add(group{root: core.ProcessID{PID: root, Start: 100}, tag: "TAG=root"}, 0)
	all := map[int]procStat{}
	for pid := root; pid < root+length; pid++ {
		all[pid] = procStat{pid: pid, state: 'S', parent: max(pid-1, root), session: pid, start: 100}
	}
	tags := environment(slices.Repeat([]byte("TAG=root\x00"), 1000))
	asked, members := 0, 0
	ss.each(all, 1<<22, func(string) environment {
		if asked++; asked%100 == 0 {
			return tags
		}
		return nil
	}, func(_ core.ProcessID, of []int) {
		if members++; len(of) != 1 {
			t.Errorf("a member of %d groups", len(of))
		}
	})
	if members != length || asked != length {
		t.Errorf("%d members, %d were asked, want each of %d once", members, asked, length)
	}
}

// What one child is in besides, the other is not.
func TestChildrenOfOneParent(t *testing.T) {
	const parent = 1 << 23
	ss := newSessions()
	for at := range 3 {
		ss.add(group{root: core.ProcessID{PID: parent, Start: 1}}, at)
	}
	all := map[int]procStat{parent: {pid: parent, state: 'S', parent: 1, session: parent, start: 1}}
	want := map[int]string{parent: "[0 1 2]"}
	for i := range 4 {
		child := parent + 1 + i
		ss.add(group{root: core.ProcessID{PID: child, Start: 2}}, 3+i)
		all[child] = procStat{pid: child, state: 'S', parent: parent, session: child, start: 2}
		want[child] = fmt.Sprintf("[0 1 2 %d]", 3+i)
	}
	of := map[int][]int{}
	ss.each(all, 2, func(string) environment { return nil }, func(id core.ProcessID, groups []int) { of[id.PID] = groups })
	got := map[int]string{}
	for pid, groups := range of { // once all have been seen
		got[pid] = fmt.Sprint(groups)
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

package launchgroup

import (
	"reflect"
	"testing"

	"kpm/core"
	"kpm/platform/darwin/kernel"
)

const boot = "6F0A2D7C-2B61-4B8C-8C3A-000000000001"

func TestNames(t *testing.T) {
	root := core.ProcessID{PID: 812, Start: 1_700_000_000_123_456}
	tag := "KEEPER_REQUEST_ID=ABC:DEF"
	for _, env := range [][]string{nil, {"A=1", tag}} {
		name := Name(root, boot, env)
		got, ok := Parse(name, boot)
		want := Group{Root: root}
		if env != nil {
			want.Tag = tag
		}
		if !ok || got != want {
			t.Errorf("%s is %+v, %v, want %+v", name, got, ok, want)
		}
		if got, ok := Parse(name, "another boot"); !ok || !got.Stale {
			t.Errorf("%s of another boot is %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{
		"", "session:", "session:1@5:" + boot, "session:812:" + boot, "session:812@x:" + boot, "session:812@5", "session:812@5:",
		"cgroup:/sys/fs/cgroup/kpm", "session:812@5:" + boot + ":PATH=/bin", "session:812@5:" + boot + ":KEEPER_RUN_ID=",
	} {
		if got, ok := Parse(name, boot); ok {
			t.Errorf("%q is %+v", name, got)
		}
	}
}

// table is a service (300), two launches, and what became of them.
func table() Table {
	t := Table{}
	for _, p := range []kernel.Process{
		{PID: 1, Start: 1, Session: 1},
		{PID: 300, Parent: 1, Start: 10, Session: 300},
		{PID: 400, Parent: 300, Start: 20, Session: 400}, // a helper
		{PID: 401, Parent: 400, Start: 21, Session: 400}, // its program
		{PID: 402, Parent: 401, Start: 22, Session: 402}, // a descendant with a session of its own
		{PID: 403, Parent: 1, Start: 23, Session: 400},   // an orphan in the session
		{PID: 404, Parent: 1, Start: 24, Session: 404},   // one that has left both, with the tag
		{PID: 405, Parent: 404, Start: 25, Session: 405}, // and its child
		{PID: 406, Parent: 401, Start: 26, Session: 400, Zombie: true},
		{PID: 407, Parent: 1, Start: 5, Session: 407},    // carries the tag, but is older
		{PID: 500, Parent: 300, Start: 30, Session: 500}, // another launch
		{PID: 501, Parent: 500, Start: 31, Session: 500},
		{PID: 600, Parent: 402, Start: 2, Session: 600}, // "child" of a later process: its parent's pid was reused
	} {
		t[p.PID] = p
	}
	return t
}

func TestMembers(t *testing.T) {
	tag := "KEEPER_REQUEST_ID=X"
	carries := func(pid int, variable string) bool { return variable == tag && (pid == 404 || pid == 407) }
	root := core.ProcessID{PID: 400, Start: 20}
	for name, c := range map[string]struct {
		group Group
		want  []int
	}{
		"with a tag":            {Group{Root: root, Tag: tag}, []int{400, 401, 402, 403, 404, 405}},
		"without":               {Group{Root: root}, []int{400, 401, 402, 403}},
		"of an earlier boot":    {Group{Root: root, Tag: tag, Stale: true}, nil},
		"root's pid reused":     {Group{Root: core.ProcessID{PID: 400, Start: 999}}, nil},
		"and a session with it": {Group{Root: core.ProcessID{PID: 400, Start: 5}}, nil},
		"of the service itself": {Group{Root: core.ProcessID{PID: 300, Start: 10}}, nil},
	} {
		var got []int
		for _, id := range table().Members(c.group, 300, carries) {
			got = append(got, id.PID)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestMember(t *testing.T) {
	g := Group{Root: core.ProcessID{PID: 400, Start: 20}, Tag: "KEEPER_REQUEST_ID=X"}
	for id, want := range map[core.ProcessID]bool{
		{PID: 400, Start: 20}: true, {PID: 401, Start: 21}: true, {PID: 402, Start: 22}: true, {PID: 403, Start: 23}: true,
		{PID: 401, Start: 22}: false, // another process of that pid
		{PID: 404, Start: 24}: false, // a tag is no evidence
		{PID: 406, Start: 26}: false, {PID: 500, Start: 30}: false, {PID: 300, Start: 10}: false, {PID: 1, Start: 1}: false, {PID: 999}: false,
	} {
		if got := table().Member(g, id); got != want {
			t.Errorf("%v: %v, want %v", id, got, want)
		}
	}
	if table().Member(Group{Root: core.ProcessID{PID: 400, Start: 5}}, core.ProcessID{PID: 401, Start: 21}) {
		t.Error("a process is in a session that has ended, and whose number another has got")
	}
	if (Table{400: {PID: 400, Parent: 401, Start: 5}, 401: {PID: 401, Parent: 400, Start: 5}}).Member(Group{Root: core.ProcessID{PID: 9, Start: 1}}, core.ProcessID{PID: 400, Start: 5}) {
		t.Error("a circle is in a group")
	}
}

package fileaccess

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kpm/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const plain = `{"group":"r"}`

func TestRulesAreKept(t *testing.T) {
	for name, tc := range map[string]struct {
		rule core.FileRule
		want string
	}{
		"one user":               {rule("p", []string{"ann"}, "/srv/pay/list"), `{"1000":"-","group":"r"}`},
		"by id":                  {rule("p", []string{"#1001"}, "/srv/pay/list"), `{"1001":"-","group":"r"}`},
		"of a directory":         {rule("p", []string{"dora"}, "/srv/pay/list"), `{"70000":"-","group":"r"}`},
		"everyone":               {core.FileRule{Everyone: true, Files: []string{"/srv/pay/*"}}, `{"1000":"-","1001":"-","group":"r"}`},
		"a group":                {core.FileRule{Groups: []string{"staff"}, Files: []string{"/srv/*"}}, `{"1001":"-","group":"r"}`},
		"a group by id":          {core.FileRule{Groups: []string{"#100"}, Files: []string{"/srv/*/list"}}, `{"1000":"-","1001":"-","group":"r"}`},
		"the administrator":      {rule("p", []string{"root"}, "/srv/pay/list"), plain},
		"nobody":                 {rule("p", []string{"zoe"}, "/srv/pay/list"), plain},
		"another file":           {rule("p", []string{"ann"}, "/srv/pay/other"), plain},
		"a policy that watches":  {core.FileRule{Monitor: true, Everyone: true, Files: []string{"/srv/pay/list"}}, plain},
		"a pattern that is none": {rule("p", []string{"ann"}, "/srv/pay/*.key"), plain},
	} {
		b := newBench(t)
		b.disk.put("/srv/pay/list", &node{})
		b.keep(tc.rule)
		if got := b.list("/srv/pay/list"); got != tc.want {
			t.Errorf("%s: %s, expected %s", name, got, tc.want)
		}
		b.keep()
		if got := b.list("/srv/pay/list"); got != plain || len(b.state.Entries) != 0 {
			t.Errorf("%s: when policy is off there is %s, and %d entries", name, got, len(b.state.Entries))
		}
	}
}

// What cannot be kept is said once, and nothing is changed.
func TestWhatCannotBeKept(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/program", &node{exec: true})
	b.disk.put("/srv/own", &node{owner: "1000"})
	b.disk.put("/home/ann/file", &node{})
	b.disk.unprotected["/home/ann"] = true
	r := rule("p", []string{"ann"}, "/srv/program", "/srv/own", "/home/ann/file", "/none")
	r.Unplaced = true
	b.keep(r)
	for _, at := range []string{"/srv/program", "/srv/own", "/home/ann/file"} {
		b.is(at, plain)
	}
	if got := b.what(); !slices.Equal(got, []What{Refused, Refused, Refused}) || len(b.Problems()) != 3 {
		t.Errorf("%v, %+v", got, b.Problems())
	}
	b.keep(r)
	if got := b.what(); len(got) != 0 {
		t.Errorf("said again: %v", got)
	}
}

// A policy that watches changes nothing, and the journal has what it would do.
func TestMonitoring(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/list", &node{})
	b.keep(core.FileRule{PolicyRef: core.PolicyRef{ID: "w"}, Monitor: true, Everyone: true, Files: []string{"/srv/*"}})
	if len(b.events) != 1 || b.events[0].What != Watched || b.events[0].Message != "policy w would keep 2 users from /srv/list" {
		t.Errorf("%+v", b.events)
	}
	b.Look()
	if len(b.events) != 1 {
		t.Errorf("said again: %+v", b.events[1:])
	}
}

// Somebody who is not known for a moment is not let in.
func TestDoubtKeepsWhatIsDenied(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/pay/list", &node{})
	b.keep(rule("p", []string{"ann"}, "/srv/pay/*"))
	denied := `{"1000":"-","group":"r"}`
	b.disk.unknown = errors.New("busy")
	b.keep(rule("q", []string{"bob"}, "/srv/pay/*"))
	b.is("/srv/pay/list", denied)
	b.disk.unknown = nil
	b.disk.unprotected["/srv/pay"] = true
	b.keep(rule("p", []string{"ann"}, "/srv/pay/*"))
	b.is("/srv/pay/list", denied)
	b.keep() // of this there is no doubt
	b.is("/srv/pay/list", plain)
}

// Attack: somebody takes the machine off the network, and is in none of the groups that
// policy keeps from a file.
func TestWhoseGroupsAreNotKnownIsNotLetIn(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/pay/list", &node{})
	byGroup := core.FileRule{PolicyRef: core.PolicyRef{ID: "p"}, Groups: []string{"staff"}, Files: []string{"/srv/pay/*"}}
	both := byGroup
	both.Users = []string{"ann"}
	b.keep(both)
	b.is("/srv/pay/list", `{"1000":"-","1001":"-","group":"r"}`)
	b.disk.people[1].Groups, b.disk.people[1].GroupsUnknown = nil, true // bob's
	b.keep(byGroup)
	b.is("/srv/pay/list", `{"1001":"-","group":"r"}`) // of ann there is no doubt
	b.keep()                                          // nor of anybody where no group is named
	b.is("/srv/pay/list", plain)
}

// An administrator has changed the list meanwhile: that stays, ours alone goes, and
// the journal says so.
func TestSomebodyElseChangesAList(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/list", &node{list: map[string]string{"1000": "r", "group": "r"}})
	b.keep(rule("p", []string{"ann"}, "/srv/list"))
	b.is("/srv/list", `{"1000":"-","group":"r"}`)
	b.disk.files["/srv/list"].list = map[string]string{"1000": "-", "1001": "rw", "group": "-"}
	b.what()
	b.keep()
	b.is("/srv/list", `{"1000":"r","1001":"rw","group":"-"}`)
	if got := b.events; len(got) != 1 || got[0].What != Restored || !strings.Contains(got[0].Message, "somebody else") {
		t.Errorf("%+v", got)
	}
	// And while it is in force: what was added stays, and what was taken away is back.
	b.keep(rule("p", []string{"ann"}, "/srv/list"))
	b.disk.files["/srv/list"].list = map[string]string{"1001": "rw", "group": "r"}
	b.what()
	b.Look()
	b.is("/srv/list", `{"1000":"-","1001":"rw","group":"r"}`)
	if got := b.what(); !slices.Equal(got, []What{Foreign}) {
		t.Errorf("%v", got)
	}
}

// Attack: the file is replaced, and the one that was denied is kept under another
// name. The new one is denied as well, and what was changed is given back.
func TestAFileIsReplaced(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/list", &node{})
	b.keep(rule("p", []string{"ann"}, "/srv/list"))
	b.disk.files["/srv/old"] = b.disk.files["/srv/list"]
	b.disk.put("/srv/list", &node{})
	b.Look()
	b.is("/srv/list", `{"1000":"-","group":"r"}`)
	b.is("/srv/old", plain)
	delete(b.disk.files, "/srv/list")
	b.what()
	b.Look()
	if got := b.what(); !slices.Equal(got, []What{Gone}) || len(b.state.Entries) != 0 {
		t.Errorf("%v, %+v", got, b.state.Entries)
	}
}

var errKilled = errors.New("killed")

// The service is killed at any moment of a change: the next one gives back exactly
// what was there, whatever it finds.
func TestKilledInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, when := range []string{"before", "after"} {
			for writes := range 4 {
				b := newBench(t)
				b.disk.put("/srv/list", &node{list: map[string]string{"1001": "r", "group": "r"}})
				seen := 0
				b.disk.killed = func(at string) {
					if at == when {
						if seen++; seen > writes {
							panic(errKilled)
						}
					}
				}
				func() {
					defer func() {
						if r := recover(); r != nil && r != error(errKilled) {
							panic(r)
						}
					}()
					b.keep(rule("p", []string{"ann"}, "/srv/list"))
					if _, err := b.Give(Want{User: core.Account{User: "1000", Name: "ann"}, Path: "/srv/list", Length: time.Hour}); err != nil {
						t.Error(err)
					}
					b.keep(rule("p", []string{"ann", "bob"}, "/srv/list"))
					b.keep()
				}()
				b.disk.killed = nil
				b.open()
				if err := b.GiveBack(); err != nil {
					t.Error(err)
				}
				b.is("/srv/list", `{"1001":"r","group":"r"}`)
				if len(b.state.Entries)+len(b.state.Grants) != 0 {
					t.Errorf("%s write %d: %+v", when, writes, b.state)
				}
			}
		}
	})
}

// Nothing is changed that cannot be written down, and what cannot be changed is tried
// again.
func TestFullDisks(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/list", &node{})
	b.full = errFull
	b.keep(rule("p", []string{"ann"}, "/srv/list"))
	b.is("/srv/list", plain)
	b.full, b.disk.fails = nil, errFull
	b.Look()
	b.is("/srv/list", plain)
	b.disk.fails = nil
	b.Look()
	b.is("/srv/list", `{"1000":"-","group":"r"}`)
	b.disk.fails = errFull
	if err := b.GiveBack(); err == nil || !strings.Contains(err.Error(), "/srv/list: no space left") {
		t.Errorf("%v", err)
	}
	b.disk.fails = nil
	b.open()
	if err := b.GiveBack(); err != nil {
		t.Error(err)
	}
	b.is("/srv/list", plain)
}

// What was written down and cannot be read is left alone.
func TestAStateThatCannotBeRead(t *testing.T) {
	b := newBench(t)
	b.saved = []byte("{")
	b.open()
	b.disk.put("/srv/list", &node{})
	b.keep(rule("p", []string{"ann"}, "/srv/list"))
	b.is("/srv/list", plain)
	if _, err := b.Give(Want{User: core.Account{User: "1000"}, Path: "/srv/list", Direct: true}); err == nil {
		t.Error("a grant was given")
	}
	if err := b.GiveBack(); err == nil {
		t.Error("all is given back")
	}
	if string(b.saved) != "{" {
		t.Errorf("written: %s", b.saved)
	}
}

func TestServeKeepsAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.disk.put("/srv/list", &node{})
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.Serve(ctx); close(done) }()
		b.SetRules(core.FileRules{Rules: []core.FileRule{rule("p", []string{"ann"}, "/srv/list")}})
		synctest.Wait()
		b.is("/srv/list", `{"1000":"-","group":"r"}`)
		if _, err := b.Give(Want{User: core.Account{User: "1000", Name: "ann"}, Path: "/srv/list", Length: 7 * time.Minute}); err != nil {
			t.Fatal(err)
		}
		b.is("/srv/list", `{"1000":"rw","group":"r"}`)
		time.Sleep(7*time.Minute + time.Second)
		synctest.Wait()
		b.is("/srv/list", `{"1000":"-","group":"r"}`)
		stop()
		<-done
		b.is("/srv/list", `{"1000":"-","group":"r"}`) // a service that has gone lets nobody in
	})
}

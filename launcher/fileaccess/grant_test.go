package fileaccess

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

var ann, bob = core.Account{User: "1000", Name: "ann"}, core.Account{User: "1001", Name: "bob"}

func TestWhoIsGivenAccess(t *testing.T) {
	deny := rule("d", []string{"ann"}, "/srv/list")
	deny.Denies = true
	for name, tc := range map[string]struct {
		rules []core.FileRule
		want  Want
		err   error
		list  string
	}{
		"whom a policy asks":                 {[]core.FileRule{rule("p", []string{"ann"}, "/srv/list")}, Want{User: ann, Path: "/srv/list"}, nil, `{"1000":"rw","group":"r"}`},
		"whom a policy denies it":            {[]core.FileRule{deny}, Want{User: ann, Path: "/srv/list"}, ErrDenied, `{"1000":"-","group":"r"}`},
		"whom an administrator lets, denied": {[]core.FileRule{deny}, Want{User: ann, Path: "/srv/list", Direct: true}, ErrDenied, `{"1000":"-","group":"r"}`},
		"whom no policy keeps from it":       {[]core.FileRule{rule("p", []string{"ann"}, "/srv/list")}, Want{User: bob, Path: "/srv/list"}, ErrUnruled, `{"1000":"-","group":"r"}`},
		"without any policy":                 {nil, Want{User: ann, Path: "/srv/list"}, ErrUnruled, plain},
		"whom an administrator lets":         {nil, Want{User: ann, Path: "/srv/list", Direct: true}, nil, `{"1000":"rw","group":"r"}`},
		"a file that users can exchange":     {nil, Want{User: ann, Path: "/home/ann/x", Direct: true}, core.ErrNotProtected, plain},
		"the owner":                          {nil, Want{User: bob, Path: "/srv/bobs", Direct: true}, ErrUnruled, plain},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.disk.put("/srv/list", &node{})
			b.disk.put("/srv/bobs", &node{owner: "1001"})
			b.disk.put("/home/ann/x", &node{})
			b.disk.unprotected["/home/ann"] = true
			b.keep(tc.rules...)
			g, err := b.Give(tc.want)
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Errorf("%s: %v", name, err)
			}
			if err == nil && (g.Kind != File || g.Until.Sub(g.Given) != DefaultLength) {
				t.Errorf("%s: %+v", name, g)
			}
			if got := b.list("/srv/list"); got != tc.list {
				t.Errorf("%s: %s", name, got)
			}
			if len(tc.rules) == 0 && err == nil {
				if err := b.Revoke(File, g.ID, "1001", core.Principal{}); !errors.Is(err, ErrUnknown) {
					t.Errorf("%s: revoked by another user: %v", name, err)
				}
				if err := b.Revoke(File, g.ID, "", core.Principal{}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				b.is("/srv/list", plain)
			}
		})
	}
}

// A DENY that comes later holds at once, whatever was granted.
func TestADenyEndsAccess(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/list", &node{})
	b.keep(rule("p", []string{"ann"}, "/srv/list"))
	if _, err := b.Give(Want{User: ann, Path: "/srv/list"}); err != nil {
		t.Fatal(err)
	}
	deny := rule("d", []string{"ann"}, "/srv/list")
	deny.Denies = true
	b.keep(rule("p", []string{"ann"}, "/srv/list"), deny)
	b.is("/srv/list", `{"1000":"-","group":"r"}`)
}

// A grant is for the file that it was given for: not for another one in its place
// (attack: renamed over it), and for no other user.
func TestAGrantIsForOneFile(t *testing.T) {
	b := newBench(t)
	b.disk.put("/srv/list", &node{})
	b.keep(rule("p", []string{"ann", "bob"}, "/srv/list"))
	if _, err := b.Give(Want{User: ann, Path: "/srv/list"}); err != nil {
		t.Fatal(err)
	}
	b.is("/srv/list", `{"1000":"rw","1001":"-","group":"r"}`)
	b.disk.put("/srv/list", &node{})
	b.Look()
	b.is("/srv/list", `{"1000":"-","1001":"-","group":"r"}`)
	if _, held := b.Held("1000", "/srv/list"); held {
		t.Error("the grant is for the new file")
	}
	if ended, left := b.CleanUp(File); ended+left != 0 { // it went with the file
		t.Errorf("%d ended, %d left", ended, left)
	}
}

func TestLengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.disk.put("/srv/list", &node{})
		for length, want := range map[time.Duration]time.Duration{0: 240 * time.Minute, time.Minute: time.Minute, 365 * 24 * time.Hour: MaxLength} {
			g, err := b.Give(Want{User: ann, Path: "/srv/list", Length: length, Direct: true})
			if err != nil || g.Until.Sub(g.Given) != want {
				t.Errorf("%s: %+v %v", length, g, err)
			}
			if err := b.Revoke(File, g.ID, "", core.Principal{}); err != nil {
				t.Error(err)
			}
		}
		long, _ := b.Give(Want{User: ann, Path: "/srv/list", Length: time.Hour, Direct: true})
		short, err := b.Give(Want{User: ann, Path: "/srv/list", Length: time.Minute, Direct: true})
		if err != nil || !short.Until.Equal(long.Until) || len(b.List(File, "")) != 1 {
			t.Errorf("the longer of two: %+v %v", short, err)
		}
	})
}

// Time is over by the clock that nobody can set, and by the wall clock; after a
// restart of the machine by the wall clock alone, which nobody gains from setting
// back.
func TestTimeIsOver(t *testing.T) {
	for name, tc := range map[string]struct {
		passes time.Duration
		shift  time.Duration // of when it was given, as if the wall clock had been set
		reboot bool
		over   bool
	}{
		"not yet":                      {59 * time.Minute, 0, false, false},
		"it has passed":                {time.Hour, 0, false, true},
		"the wall clock was set back":  {time.Hour, 24 * time.Hour, false, true},
		"the wall clock was set ahead": {time.Minute, -2 * time.Hour, false, true},
		"after a restart":              {59 * time.Minute, 0, true, false},
		"after a long restart":         {time.Hour, 0, true, true},
		"a restart, and set back":      {time.Minute, 24 * time.Hour, true, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			b.disk.put("/srv/list", &node{})
			b.keep(rule("p", []string{"ann"}, "/srv/list"))
			if _, err := b.Give(Want{User: ann, Path: "/srv/list", Length: time.Hour}); err != nil {
				t.Fatal(err)
			}
			g := b.state.Grants[0]
			g.Given, g.Until = g.Given.Add(tc.shift), g.Until.Add(tc.shift)
			if err := b.save(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(tc.passes)
			if tc.reboot {
				b.boot, b.started = "two", time.Now()
			}
			b.open()
			b.Look() // before KeeperPolicy has said anything
			want := `{"1000":"rw","group":"r"}`
			if tc.over {
				want = `{"1000":"-","group":"r"}`
			}
			if got := b.list("/srv/list"); got != want {
				t.Errorf("%s: %s", name, got)
			}
		})
	}
}

// Execution grants change no list, and are asked for by file.
func TestExecutionGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.disk.put("/srv/tool", &node{exec: true})
		inode := b.disk.files["/srv/tool"].inode
		if b.Holds("1000", 1, inode) {
			t.Error("before")
		}
		g, err := b.Give(Want{User: ann, Path: "/srv/tool", Length: time.Hour})
		if err != nil || g.Kind != Execution {
			t.Fatalf("%+v %v", g, err)
		}
		b.is("/srv/tool", plain)
		b.open()
		if !b.Holds("1000", 1, inode) || b.Holds("1001", 1, inode) || b.Holds("1000", 1, inode+1) || b.Holds("1000", 2, inode) {
			t.Error("it is held by whom it is not for, or not by whom it is")
		}
		if !b.HoldsAt("1000", "/srv/tool") || b.HoldsAt("1001", "/srv/tool") || b.HoldsAt("1000", "/srv/other") {
			t.Error("by path: it is held by whom it is not for, or not by whom it is")
		}
		there := b.disk.files["/srv/tool"]
		b.disk.put("/srv/tool", &node{exec: true})
		if b.HoldsAt("1000", "/srv/tool") {
			t.Error("another program has taken its place")
		}
		b.disk.files["/srv/tool"] = there
		if err := b.Revoke(File, g.ID, "", core.Principal{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("as a file's: %v", err)
		}
		time.Sleep(time.Hour)
		if b.Holds("1000", 1, inode) {
			t.Error("after its time")
		}
		if ended, left := b.CleanUp(Execution); ended != 1 || left != 0 {
			t.Errorf("%d ended, %d left", ended, left)
		}
	})
}

func TestCleanUp(t *testing.T) {
	b := newBench(t)
	for _, at := range []string{"/srv/a", "/srv/b", "/srv/c", "/srv/d"} {
		b.disk.put(at, &node{exec: true})
		who := ann
		if at == "/srv/d" {
			who = bob
		}
		if _, err := b.Give(Want{User: who, Path: at}); err != nil {
			t.Fatal(err)
		}
	}
	delete(b.disk.files, "/srv/a")
	b.disk.put("/srv/b", &node{exec: true})
	delete(b.people, "bob")
	if ended, left := b.CleanUp(Execution); ended != 3 || left != 1 {
		t.Errorf("%d ended, %d left", ended, left)
	}
}

// Nothing is given that the journal does not have, or that cannot be written down or
// put in force.
func TestNothingIsGivenHalf(t *testing.T) {
	for name, spoil := range map[string]func(*bench){
		"the journal is full": func(b *bench) { b.deaf = errFull }, "the disk is full": func(b *bench) { b.full = errFull },
		"the list cannot be written": func(b *bench) { b.disk.fails = errFull },
	} {
		b := newBench(t)
		b.disk.put("/srv/list", &node{})
		b.keep(rule("p", []string{"ann"}, "/srv/list"))
		spoil(b)
		if _, err := b.Give(Want{User: ann, Path: "/srv/list"}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
		b.deaf, b.full, b.disk.fails = nil, nil, nil
		b.Look()
		b.is("/srv/list", `{"1000":"-","group":"r"}`)
		if len(b.List(File, "")) != 0 {
			t.Errorf("%s: %+v", name, b.List(File, ""))
		}
	}
}

func TestBounds(t *testing.T) {
	b := newBench(t)
	for i := range maxUserGrants + 1 {
		at := "/srv/" + string(rune('a'+i%26)) + string(rune('a'+i/26))
		b.disk.put(at, &node{exec: true})
		if _, err := b.Give(Want{User: ann, Path: at}); (i < maxUserGrants) != (err == nil) || i == maxUserGrants && !errors.Is(err, ErrTooMany) {
			t.Fatalf("grant %d: %v", i, err)
		}
	}
	if _, err := b.Give(Want{User: bob, Path: "/srv/aa"}); err != nil {
		t.Errorf("another user: %v", err)
	}
}

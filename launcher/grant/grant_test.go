package grant

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/span"
	"kpm/core/statefile"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var shell = core.ProcessID{PID: 20, Start: 2}

// bench is a store on a machine of the test's.
type bench struct {
	t       *testing.T
	path    string
	boot    string
	started time.Time // of the machine
	dead    map[core.ProcessID]bool
	events  []Event
	refuse  error // of the journal
	full    error // of the disk
	*Store
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, path: filepath.Join(t.TempDir(), "grants.json"), boot: "one", started: time.Now().Add(-time.Hour), dead: map[core.ProcessID]bool{}}
	b.open()
	return b
}

// open is a service that starts.
func (b *bench) open() {
	b.Store = Open(Config{
		Clock: b, Alive: func(id core.ProcessID) bool { return !b.dead[id] },
		File: statefile.File{Path: b.path, Read: os.ReadFile, WriteAtomic: func(path string, data []byte, perm os.FileMode) error {
			if b.full != nil {
				return b.full
			}
			return os.WriteFile(path, data, perm)
		}},
		Record: func(e Event) error {
			if b.refuse == nil {
				b.events = append(b.events, e)
			}
			return b.refuse
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
}

func (b *bench) Now() (string, time.Duration, error) { return b.boot, time.Since(b.started), nil }

// whys is what was journalled, in words.
func (b *bench) whys() (list []string) {
	for _, e := range b.events {
		list = append(list, e.Why)
	}
	return list
}

func minutes(n int) span.Span { return span.Span(time.Duration(n) * time.Minute) }

// asking is ada who asks for a command at her terminal, of which a policy with these
// terms demands a reason.
func asking(terms core.GrantTerms) *Request {
	return &Request{
		ID: "REQ", User: "1000", UserName: "ada", Target: "0", As: "root", Seal: "seal of tool", Command: "tool",
		Origin:  core.Origin{By: core.ByTerminal, Terminal: "pts/1", Leader: shell},
		Demands: []core.Demand{{PolicyRef: core.PolicyRef{ID: "p", Name: "Tools"}, Controls: []core.Control{core.ControlJustify}, Grant: &terms}},
	}
}

// given is asking, after a grant was given.
func (b *bench) given(terms core.GrantTerms, length time.Duration) *Request {
	b.t.Helper()
	r := asking(terms)
	if list := b.Give(r, r.Demands[0].Controls, length); len(list) != 1 {
		b.t.Fatalf("%d grants were given", len(list))
	}
	return r
}

func (b *bench) serves(r *Request) bool { return len(b.Use(r).Controls) > 0 }

func TestAGrantServesWhatItWasGivenFor(t *testing.T) {
	for name, tc := range map[string]struct {
		terms  core.GrantTerms
		change func(*Request)
		want   bool
	}{
		"the same again":                {core.GrantTerms{}, func(*Request) {}, true},
		"another user":                  {core.GrantTerms{}, func(r *Request) { r.User = "1001" }, false},
		"another target":                {core.GrantTerms{}, func(r *Request) { r.Target = "33" }, false},
		"another command":               {core.GrantTerms{}, func(r *Request) { r.Seal = "seal of else" }, false},
		"another command of the policy": {core.GrantTerms{Everything: true}, func(r *Request) { r.Seal = "seal of else" }, true},
		"another policy":                {core.GrantTerms{}, func(r *Request) { r.Demands[0].ID = "q" }, false},
		"a policy that asks for more":   {core.GrantTerms{}, func(r *Request) { r.Demands[0].Controls = []core.Control{core.ControlMFA} }, false},
		"a policy that lets it no more": {core.GrantTerms{}, func(r *Request) { r.Demands[0].Grant = nil }, false},
		"another policy asks for the same": {core.GrantTerms{}, func(r *Request) {
			r.Demands = append(r.Demands, core.Demand{PolicyRef: core.PolicyRef{ID: "q"}, Controls: r.Demands[0].Controls})
		}, false},
		"another policy asks for something": {core.GrantTerms{}, func(r *Request) {
			r.Demands = append(r.Demands, core.Demand{PolicyRef: core.PolicyRef{ID: "q"}, Controls: []core.Control{core.ControlMFA}})
		}, true},
		"another terminal":                      {core.GrantTerms{}, func(r *Request) { r.Origin.Terminal, r.Origin.Leader = "pts/2", core.ProcessID{PID: 21, Start: 3} }, false},
		"the terminal's number in other hands":  {core.GrantTerms{}, func(r *Request) { r.Origin.Leader.Start = 9 }, false},
		"a process without the terminal":        {core.GrantTerms{}, func(r *Request) { r.Origin = core.Origin{By: core.ByService, Leader: shell} }, false},
		"nobody knows from where":               {core.GrantTerms{}, func(r *Request) { r.Origin = core.Origin{} }, false},
		"an agent in the terminal":              {core.GrantTerms{}, func(r *Request) { r.Origin.By = core.ByAgent }, false},
		"an agent in it, which the policy lets": {core.GrantTerms{Agents: true}, func(r *Request) { r.Origin.By = core.ByAgent }, true},
		"an agent elsewhere":                    {core.GrantTerms{Agents: true}, func(r *Request) { r.Origin = core.Origin{By: core.ByAgent, Leader: shell} }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t)
			tc.terms.For = minutes(30)
			b.given(tc.terms, 0+time.Minute)
			r := asking(tc.terms)
			tc.change(r)
			if got := b.serves(r); got != tc.want {
				t.Errorf("%s: it is served: %v", name, got)
			}
		})
	}
}

// The clock on the wall may say what it likes: who asks for a year that has passed
// is told that there are 20 minutes left (W12 of what people ask for). The same
// holds across a restart of the service, and kill -9, since nothing is kept in
// memory alone.
func TestTimeIsWhatHasPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.given(core.GrantTerms{For: minutes(30), CoolDown: minutes(60)}, 30*time.Minute)
		for i := range b.grants { // a year ahead, or behind
			b.grants[i].At = b.grants[i].At.AddDate(1, 0, 0)
		}
		time.Sleep(10 * time.Minute)
		b.open()
		if list := b.List(""); len(list) != 1 || list[0].Left != 20*time.Minute || !b.serves(r) {
			t.Fatalf("after ten minutes: %+v", list)
		}
		time.Sleep(20*time.Minute - 1)
		if !b.serves(r) {
			t.Error("it is over too early")
		}
		time.Sleep(time.Nanosecond)
		if b.serves(r) || len(b.List("")) != 0 {
			t.Error("it goes on")
		}
		b.sweep()
		time.Sleep(59 * time.Minute)
		b.open()
		if list := b.Give(r, r.Demands[0].Controls, time.Minute); len(list) != 0 {
			t.Errorf("it was given in the pause: %+v", list)
		}
		time.Sleep(time.Minute)
		if list := b.Give(r, r.Demands[0].Controls, time.Minute); len(list) != 1 {
			t.Error("it is not given after the pause")
		}
	})
}

// While a machine is off no pause passes, and no grant outlives that.
func TestARestartOfTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.given(core.GrantTerms{For: minutes(30), CoolDown: minutes(60)}, 30*time.Minute)
		time.Sleep(365 * 24 * time.Hour)
		b.boot, b.started = "two", time.Now()
		b.open()
		if b.serves(r) || len(b.List("")) != 0 || !slices.Contains(b.whys(), "the machine was restarted") {
			t.Errorf("%+v, %q", b.List(""), b.whys())
		}
		time.Sleep(59 * time.Minute)
		if list := b.Give(r, r.Demands[0].Controls, time.Minute); len(list) != 0 {
			t.Error("a year without power was a pause")
		}
		time.Sleep(2 * time.Minute)
		if list := b.Give(r, r.Demands[0].Controls, time.Minute); len(list) != 1 {
			t.Error("the pause never ends")
		}
	})
}

func TestUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.given(core.GrantTerms{For: minutes(30), Uses: 2}, time.Minute)
		if !b.serves(r) {
			t.Fatal("the first use")
		}
		b.open() // killed: what was used is used
		if !b.serves(r) || b.serves(r) {
			t.Error("not two uses")
		}
		b.sweep()
		if !slices.Equal(b.whys(), []string{"it was given for 1m", "it is used up"}) {
			t.Errorf("%q", b.whys())
		}
		r = b.given(core.GrantTerms{For: minutes(30), Uses: 1}, time.Minute)
		b.full = errors.New("no space left")
		if b.serves(r) {
			t.Error("a use was not counted")
		}
		if b.full = nil; !b.serves(r) || b.serves(r) {
			t.Error("not one use")
		}
	})
}

// The smaller of what is asked for and what policy allows counts, and why is said
// (W9).
func TestLengths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		terms := core.GrantTerms{For: minutes(30), PerDay: minutes(50)}
		say := func(length time.Duration) string { return strings.Join(b.Ask(asking(terms), length).Notes, " ") }
		for _, tc := range []struct {
			length time.Duration
			want   string
		}{
			{10 * time.Minute, "It is remembered for 10m."},
			{2 * time.Hour, `It is remembered for 30m: policy "Tools" allows no more.`},
		} {
			if got := say(tc.length); got != tc.want {
				t.Errorf("%s: %q", tc.length, got)
			}
		}
		b.given(terms, 2*time.Hour)
		time.Sleep(40 * time.Minute)
		if got := say(time.Hour); got != `It is remembered for 20m: that is what is left of the 50m within 24 hours that policy "Tools" allows.` {
			t.Errorf("%q", got)
		}
		b.given(terms, time.Hour)
		time.Sleep(20 * time.Minute)
		if got := say(time.Hour); got != `Policy "Tools" lets nothing be remembered for more than 50m within 24 hours, and that is used up.` {
			t.Errorf("%q", got)
		}
		time.Sleep(24 * time.Hour)
		if got := say(time.Hour); !strings.HasPrefix(got, "It is remembered for 30m") {
			t.Errorf("a day later: %q", got)
		}
		other := asking(terms)
		other.Demands[0].Grant = nil
		if got := b.Ask(other, time.Hour).Notes; len(got) != 1 || got[0] != `Policy "Tools" asks each time: that cannot be remembered.` {
			t.Errorf("%q", got)
		}
	})
}

// Two grants of one policy at a time share its budget.
func TestTheBudgetIsForAllOfThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		terms := core.GrantTerms{For: minutes(30), PerDay: minutes(50)}
		b.given(terms, 30*time.Minute)
		other := asking(terms)
		other.Seal = "seal of else"
		list := b.Give(other, other.Demands[0].Controls, 30*time.Minute)
		if len(list) != 1 || list[0].Ends-list[0].Given != 20*time.Minute {
			t.Errorf("%+v", list)
		}
	})
}

// A grant is prolonged as often as policy allows; then what policy asks for is asked
// for again, and a reason (W8).
func TestRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		terms := core.GrantTerms{For: minutes(30), Renewals: 2}
		r := b.given(terms, 30*time.Minute)
		for range 2 {
			time.Sleep(20 * time.Minute)
			if st := b.Ask(r, 30*time.Minute); len(st.Controls) != 1 || st.Reason {
				t.Fatalf("%+v", st)
			}
			if left := b.List("")[0].Left; left != 30*time.Minute {
				t.Errorf("%s left", left)
			}
		}
		time.Sleep(20 * time.Minute)
		b.open()
		if st := b.Ask(r, 30*time.Minute); len(st.Controls) != 0 || !st.Reason {
			t.Fatalf("the third time: %+v", st)
		}
		if !b.serves(r) {
			t.Error("what is there went on for nobody")
		}
		b.Give(r, r.Demands[0].Controls, 30*time.Minute)
		if st := b.Ask(r, 30*time.Minute); len(st.Controls) != 1 {
			t.Errorf("after a reason: %+v", st)
		}
		if n := len(b.List("")); n != 1 {
			t.Errorf("%d grants", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.given(core.GrantTerms{For: minutes(30)}, time.Minute)
		if st := b.Ask(r, time.Minute); len(st.Controls) != 0 || st.Reason {
			t.Errorf("a policy without renewals: %+v", st)
		}
	})
}

// Grants end on time also when nothing else happens, and when their terminal goes.
func TestGrantsEndByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.Serve(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		b.given(core.GrantTerms{For: minutes(30)}, 7*time.Minute)
		time.Sleep(7*time.Minute + time.Second)
		synctest.Wait()
		if got := b.whys(); !slices.Equal(got, []string{"it was given for 7m", "its time is over"}) {
			t.Errorf("%q", got)
		}
		b.given(core.GrantTerms{For: minutes(30)}, 7*time.Minute)
		b.mu.Lock() // which is held whenever the store looks
		b.dead[shell] = true
		b.mu.Unlock()
		time.Sleep(lookEvery + time.Second)
		synctest.Wait()
		if got := b.whys()[3:]; !slices.Equal(got, []string{"where it was given is gone"}) {
			t.Errorf("%q", got)
		}
	})
}

func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.given(core.GrantTerms{For: minutes(30)}, time.Minute)
		id := b.List("1000")[0].ID
		if err := b.Revoke(id, "1001", core.Principal{}); !errors.Is(err, ErrUnknown) || len(b.List("1001")) != 0 {
			t.Errorf("by somebody else: %v", err)
		}
		if err := b.Revoke("nothing", "", core.Principal{}); !errors.Is(err, ErrUnknown) {
			t.Errorf("what is not there: %v", err)
		}
		if err := b.Revoke(id, "1000", core.Principal{Kind: core.User, User: "1000"}); err != nil || b.serves(r) {
			t.Errorf("by whose it is: %v", err)
		}
		b.open()
		if b.serves(r) || b.events[len(b.events)-1].By.User != "1000" {
			t.Error("it is there again")
		}
		b.given(core.GrantTerms{For: minutes(30)}, time.Minute)
		if err := b.Revoke(b.List("")[0].ID, "", core.Principal{Kind: core.Admin}); err != nil || len(b.List("")) != 0 {
			t.Errorf("by an administrator: %v", err)
		}
	})
}

// What cannot be journalled or kept is not given, and what cannot be read grants
// nothing.
func TestFailClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := asking(core.GrantTerms{For: minutes(30), Renewals: 5})
		for _, fault := range []*error{&b.refuse, &b.full} {
			*fault = errors.New("no space left")
			if list := b.Give(r, r.Demands[0].Controls, time.Minute); len(list) != 0 || b.serves(r) {
				t.Errorf("given: %+v", list)
			}
			*fault = nil
		}
		b.given(*r.Demands[0].Grant, time.Minute)
		for _, fault := range []*error{&b.refuse, &b.full} {
			*fault = errors.New("no space left")
			if st := b.Ask(r, 20*time.Minute); len(st.Controls) != 0 || b.List("")[0].Left != time.Minute {
				t.Errorf("prolonged: %+v, %+v", st, b.List(""))
			}
			*fault = nil
		}
		agent := asking(core.GrantTerms{For: minutes(30)})
		agent.Origin.By = core.ByAgent
		if list := b.Give(agent, agent.Demands[0].Controls, time.Minute); len(list) != 0 {
			t.Errorf("to an agent: %+v", list)
		}
		if err := os.WriteFile(b.path, []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		if b.open(); b.Err() == nil || b.serves(r) || len(b.Give(r, r.Demands[0].Controls, time.Minute)) != 0 {
			t.Errorf("of a file that cannot be read: %v", b.Err())
		}
		if data, err := os.ReadFile(b.path); err != nil || string(data) != "{" {
			t.Errorf("it was written over: %q, %v", data, err)
		}
	})
}

func TestOneUserHasSoMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		for i := range 2 * maxUserGrants {
			r := asking(core.GrantTerms{For: minutes(30)})
			r.Seal = strings.Repeat("x", i)
			b.Give(r, r.Demands[0].Controls, time.Minute)
		}
		if n := len(b.List("")); n != maxUserGrants {
			t.Errorf("%d grants", n)
		}
		r := asking(core.GrantTerms{For: minutes(30)})
		r.User, r.Seal = "1001", "x"
		if list := b.Give(r, r.Demands[0].Controls, time.Minute); len(list) != 1 {
			t.Error("somebody else has none")
		}
	})
}

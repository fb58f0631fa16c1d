package approval

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

func TestDeadlines(t *testing.T) {
	escalating := core.ApprovalRule{Users: []string{"ada"}, EscalatedUsers: []string{"eve"}, Number: 1}
	for name, tc := range map[string]struct {
		rules   []core.ApprovalRule
		approve bool
		passes  time.Duration
		want    State
	}{
		"waits":                       {nil, false, 29 * time.Minute, Pending},
		"nobody to escalate to":       {nil, false, 30 * time.Minute, Expired},
		"escalates":                   {[]core.ApprovalRule{escalating}, false, 30 * time.Minute, Escalated},
		"escalated":                   {[]core.ApprovalRule{escalating}, false, 4*time.Hour + 29*time.Minute, Escalated},
		"escalated, and nobody":       {[]core.ApprovalRule{escalating}, false, 4*time.Hour + 30*time.Minute, Expired},
		"nobody looked for long":      {[]core.ApprovalRule{escalating}, false, 300 * time.Hour, Expired},
		"approved":                    {nil, true, 24*time.Hour - time.Second, Approved},
		"approved, and not used soon": {nil, true, 24 * time.Hour, Expired},
	} {
		d := newDesk(t)
		w := want("1000", tc.rules...)
		r := d.ask(t, w)
		if tc.approve {
			if _, err := d.Approve(r.ID, ada, "", 0); err != nil {
				t.Fatal(err)
			}
		}
		d.pass(tc.passes)
		if _, err := d.Use(&w, "R"); (err == nil) != (tc.want == Approved) {
			t.Errorf("%s: use: %v", name, err)
		}
		if got := d.state(t, r.ID); got != tc.want && !(tc.want == Approved && got == Used) {
			t.Errorf("%s: it is %s, expected %s", name, got, tc.want)
		}
		if tc.want == Escalated {
			if _, err := d.Approve(r.ID, eve, "", 0); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Attack: somebody sets a clock, or restarts the machine with one that is set back.
func TestClocksThatAreSet(t *testing.T) {
	year := 365 * 24 * time.Hour
	for name, tc := range map[string]struct {
		changes func(*clocks)
		want    State
	}{
		"set back, in time":           {func(c *clocks) { c.set(-year, time.Hour) }, Approved},
		"set back, and time passes":   {func(c *clocks) { c.set(-year, 24*time.Hour) }, Expired},
		"set forward":                 {func(c *clocks) { c.set(year, time.Minute) }, Expired},
		"a restart":                   {func(c *clocks) { c.set(time.Hour, 0); c.reboot("two") }, Approved},
		"a restart, a day later":      {func(c *clocks) { c.set(24*time.Hour, 0); c.reboot("two") }, Expired},
		"a restart, and set back":     {func(c *clocks) { c.set(-time.Hour, 0); c.reboot("two") }, Expired},
		"a restart, and slightly off": {func(c *clocks) { c.set(-time.Minute, 0); c.reboot("two") }, Approved},
	} {
		d := newDesk(t)
		w := want("1000")
		if _, err := d.Approve(d.ask(t, w).ID, ada, "", 0); err != nil {
			t.Fatal(err)
		}
		tc.changes(d.clocks)
		d.restart(t)
		if _, err := d.Use(&w, "R"); (err == nil) != (tc.want == Approved) {
			t.Errorf("%s: %v, expected it to be %s", name, err, tc.want)
		}
	}
}

// An approval without an end cannot be had (W17).
func TestExtending(t *testing.T) {
	for name, tc := range map[string]struct {
		approve bool
		passes  time.Duration
		by      time.Duration
		err     error
		lasts   time.Duration // from then on
	}{
		"pending":                 {false, 10 * time.Minute, 2 * time.Hour, nil, 2 * time.Hour},
		"pending, as long as may": {false, 10 * time.Minute, 300 * time.Hour, nil, 72*time.Hour - 10*time.Minute},
		"not shortened":           {false, 0, 10 * time.Minute, ErrConflict, 0},
		"approved":                {true, 12 * time.Hour, 24 * time.Hour, nil, 24 * time.Hour},
		"approved, longer":        {true, 12 * time.Hour, 300 * time.Hour, nil, 24 * time.Hour},
		"for nothing":             {false, 0, 0, ErrInvalid, 0},
		"for less than nothing":   {false, 0, -time.Hour, ErrInvalid, 0},
		"for ever":                {false, 0, 1 << 62, ErrInvalid, 0},
		"when it is over":         {false, time.Hour, time.Hour, ErrConflict, 0},
	} {
		d := newDesk(t)
		r := d.ask(t, want("1000"))
		if tc.approve {
			if _, err := d.Approve(r.ID, ada, "", 0); err != nil {
				t.Fatal(err)
			}
		}
		d.pass(tc.passes)
		r, err := d.Extend(r.ID, ada, "", tc.by)
		if !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, expected %v", name, err, tc.err)
		}
		if err == nil && d.Remaining(&r) != tc.lasts {
			t.Errorf("%s: it lasts %s, expected %s", name, d.Remaining(&r), tc.lasts)
		}
	}
	// However often somebody extends it, it ends.
	d := newDesk(t)
	r := d.ask(t, want("1000"))
	if _, err := d.Approve(r.ID, ada, "", 0); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		d.pass(time.Hour)
		_, _ = d.Extend(r.ID, ada, "", 24*time.Hour) // it is refused in the end
	}
	if got := d.state(t, r.ID); got != Expired {
		t.Errorf("after 200 hours it is %s", got)
	}
	if _, err := d.Approve(d.ask(t, want("1001", core.ApprovalRule{Number: 1})).ID, root, "", time.Second); !errors.Is(err, ErrInvalid) {
		t.Errorf("approved for a second: %v", err)
	}
}

// An approver may give less than what the limits allow.
func TestApprovedForLess(t *testing.T) {
	d := newDesk(t)
	r, err := d.Approve(d.ask(t, want("1000")).ID, ada, "", time.Hour)
	if err != nil || d.Remaining(&r) != time.Hour {
		t.Errorf("%s, %v", d.Remaining(&r), err)
	}
}

func TestBoundsArePerPersonFirst(t *testing.T) {
	d := newDesk(t)
	ask := func(user, seal string) error {
		w := want(user)
		w.Seal = seal
		_, err := d.Ask(w, "x")
		return err
	}
	for i := range published.MaxPerUser {
		if err := ask("1000", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask("1000", "more"); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	if err := ask("1001", "0"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	d.pass(time.Hour) // theirs have expired
	if err := ask("1000", "more"); err != nil {
		t.Errorf("later: %v", err)
	}
	// Attack: a user asks and withdraws without end, each of which is a write.
	refused := 0
	for i := range 2 * askBurst {
		w := want("1002")
		w.Seal = fmt.Sprint(i)
		r, err := d.Ask(w, "x")
		if err != nil {
			refused++
			continue
		}
		if _, err := d.Withdraw(r.ID, "1002"); err != nil {
			t.Fatal(err)
		}
	}
	if refused == 0 {
		t.Error("nobody keeps a user from asking without end")
	}
}

func TestWithdrawing(t *testing.T) {
	d := newDesk(t)
	r := d.ask(t, want("1000"))
	if _, err := d.Withdraw(r.ID, "1001"); !errors.Is(err, ErrUnknown) {
		t.Errorf("by somebody else: %v", err)
	}
	if _, err := d.Withdraw(r.ID, "1000"); err != nil || d.state(t, r.ID) != Withdrawn {
		t.Error(err)
	}
	if _, err := d.Approve(r.ID, ada, "", 0); !errors.Is(err, ErrConflict) {
		t.Errorf("approved all the same: %v", err)
	}
}

func TestWhoWaitsHears(t *testing.T) {
	d := newDesk(t)
	r := d.ask(t, want("1000"))
	heard := make(chan Record)
	go func() {
		r, _ := d.Wait(t.Context(), r.ID)
		heard <- r
	}()
	if _, err := d.Deny(r.ID, ada, "no"); err != nil {
		t.Fatal(err)
	}
	if r := <-heard; r.State != Denied || r.Decisions[0].Comment != "no" {
		t.Errorf("%+v", r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := d.ask(t, want("1000"))
	if _, err := d.Wait(ctx, again.ID); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestServeTellsWhenTimeIsOver(t *testing.T) {
	d := newDesk(t)
	r := d.ask(t, want("1000"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Serve(ctx, nil)
	}()
	d.pass(time.Hour)
	d.wake <- struct{}{} // in place of the timer
	if r, err := d.Wait(t.Context(), r.ID); err != nil || r.State != Expired {
		t.Errorf("%s, %v", r.State, err)
	}
	cancel()
	<-done
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.said) != 2 || d.said[0] != Pending || d.said[1] != Expired {
		t.Errorf("told %v", d.said)
	}
}

// A file that is none approves nothing, and keeps nobody from working.
func TestAFileThatCannotBeRead(t *testing.T) {
	d := newDesk(t)
	w := want("1000")
	if _, err := d.Approve(d.ask(t, w).ID, ada, "", 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.path, []byte("not a database, and longer than nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(d.path, published, d.clocks, fair.People{}, nil, func(Record) {}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.Book = b
	if _, err := d.Use(&w, "R"); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	if _, err := d.Ask(w, "x"); err != nil {
		t.Error(err)
	}
}

func TestWhomToAsk(t *testing.T) {
	many := core.ApprovalRule{Number: 2}
	for i := range 9 {
		many.Users = append(many.Users, fmt.Sprint("u", i))
	}
	w := want("1000", core.ApprovalRule{Users: []string{"a\x1b"}, Groups: []string{"ops"}, Number: 1}, many, core.ApprovalRule{Number: 1})
	if got, want := new(Book).Whom(&w), "1 of a\ufffd, group ops, the administrators, and 2 of u0, u1, u2, u3, u4, u5, u6, u7, the administrators, others, and 1 of the administrators"; got != want {
		t.Errorf("%s, expected %s", got, want)
	}
}

func TestIDs(t *testing.T) {
	for text, want := range map[string]string{"abcd-2345": "ABCD-2345", " ABCD2345\n": "ABCD-2345", "x": "X", "": "", "ABCD-23456": "ABCD23456"} {
		if got := ID(text); got != want {
			t.Errorf("%q is %q, expected %q", text, got, want)
		}
	}
}

// What cannot be opened now is not taken for damaged, and nothing is forgotten.
func TestAFileThatIsInUse(t *testing.T) {
	d := newDesk(t)
	w := want("1000")
	if _, err := d.Approve(d.ask(t, w).ID, ada, "", 0); err != nil {
		t.Fatal(err)
	}
	if other, err := Open(d.path, published, d.clocks, fair.People{}, nil, func(Record) {}, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("two services have it open")
		_ = other.Close(t.Context())
	}
	d.restart(t)
	if _, err := d.Use(&w, "R"); err != nil {
		t.Error(err)
	}
}

// Whoever asked is told before it ends, once, and again when it was extended.
func TestARequesterIsToldThatItEndsSoon(t *testing.T) {
	d := newDesk(t)
	var told []time.Duration
	soon := func(_ Record, left time.Duration) { told = append(told, left) }
	r := d.ask(t, want("1000"))
	look := func(after time.Duration, n int) {
		t.Helper()
		d.pass(after)
		d.due(soon)
		if d.due(soon); len(told) != n {
			t.Errorf("%s later: told %v", after, told)
		}
	}
	look(19*time.Minute, 0)
	look(time.Minute, 1) // of the thirty that it waits
	if _, err := d.Approve(r.ID, ada, "", time.Minute); err != nil {
		t.Fatal(err)
	}
	look(29*time.Second, 1)
	look(time.Second, 2) // half of a minute that it may be used
	if _, err := d.Extend(r.ID, ada, "", time.Hour); err != nil {
		t.Fatal(err)
	}
	look(49*time.Minute, 2)
	look(time.Minute, 3)
	look(10*time.Minute, 3)
	if d.state(t, r.ID) != Expired || told[0] != 10*time.Minute || told[1] != 30*time.Second || told[2] != 10*time.Minute {
		t.Errorf("%s, told %v", d.state(t, r.ID), told)
	}
}

package approval

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// clocks are what a test sets.
type clocks struct {
	mu      sync.Mutex
	wall    time.Time
	boot    string
	running time.Duration
}

func newClocks() *clocks {
	return &clocks{wall: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), boot: "one", running: time.Hour}
}

func (c *clocks) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *clocks) Running() (string, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boot, c.running
}

func (c *clocks) pass(d time.Duration) { c.set(d, d) }

// set moves the two apart.
func (c *clocks) set(wall, running time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall, c.running = c.wall.Add(wall), c.running+running
}

// reboot starts the machine anew.
func (c *clocks) reboot(boot string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.boot, c.running = boot, time.Minute
}

var published = Limits{Pending: 30 * time.Minute, Escalated: 4 * time.Hour, Expiration: 72 * time.Hour, Usable: 24 * time.Hour, MaxPerUser: 4, Max: 8}

// desk is a book with its clocks, and what it has told.
type desk struct {
	*Book
	*clocks
	path string
	mu   sync.Mutex
	said []State
}

func newDesk(t *testing.T) *desk {
	d := &desk{clocks: newClocks(), path: filepath.Join(t.TempDir(), "approvals.db")}
	d.open(t)
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d *desk) open(t *testing.T) {
	t.Helper()
	b, err := Open(d.path, published, d.clocks, fair.People{}, nil, func(r Record) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.said = append(d.said, r.State)
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.Book = b
}

// restart opens the file anew, as the next service does.
func (d *desk) restart(t *testing.T) {
	t.Helper()
	if err := d.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.open(t)
}

// want is what user wants, by rules; without any the policy names ada.
func want(user string, rules ...core.ApprovalRule) Want {
	if rules == nil {
		rules = []core.ApprovalRule{{Users: []string{"ada"}, Number: 1}}
	}
	return Want{User: core.UserID(user), Name: "bob", Target: "0", TargetName: "root", Path: "/usr/bin/id", Requested: "/usr/bin/id",
		Argv: [][]byte{[]byte("id"), []byte("-u\xff")}, Dir: "/", Seal: "seal-" + user, Rules: rules}
}

var (
	ada  = Person{User: "1001", Name: "ada"}
	eve  = Person{User: "1002", Name: "eve", Groups: []string{"27"}, GroupNames: []string{"ops"}}
	mal  = Person{User: "1003", Name: "mal"}
	root = Person{User: "0", Name: "root", Administrator: true}
)

func (d *desk) ask(t *testing.T, w Want) Record {
	t.Helper()
	r, err := d.Ask(w, "the disk is full")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (d *desk) state(t *testing.T, id string) State {
	t.Helper()
	r, err := d.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	return r.State
}

func TestAnApprovalRunsOnce(t *testing.T) {
	d := newDesk(t)
	w := want("1000")
	asked := d.ask(t, w)
	if again := d.ask(t, w); again.ID != asked.ID {
		t.Errorf("%s beside %s", again.ID, asked.ID)
	}
	if _, err := d.Use(&w, "R"); !errors.Is(err, ErrNone) {
		t.Errorf("used before it was approved: %v", err)
	}
	r, err := d.Approve(asked.ID, ada, " go on\x1b ", 0)
	if err != nil || r.State != Approved || r.Decisions[0].Comment != "go on\ufffd" || r.Decisions[0].Name != "ada" {
		t.Fatalf("%+v, %v", r, err)
	}
	d.restart(t)
	if r, err := d.Use(&w, "R1"); err != nil || r.State != Used || r.Request != "R1" || r.ID != asked.ID {
		t.Fatalf("%+v, %v", r, err)
	}
	d.restart(t)
	if _, err := d.Use(&w, "R2"); !errors.Is(err, ErrNone) {
		t.Errorf("used twice: %v", err)
	}
	if again := d.ask(t, w); again.ID == asked.ID || again.State != Pending {
		t.Errorf("the second run: %+v", again)
	}
	if info, err := os.Stat(d.path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Another request is another request: each field counts for itself.
func TestAnApprovalIsForOneRequest(t *testing.T) {
	d := newDesk(t)
	w := want("1000")
	if _, err := d.Approve(d.ask(t, w).ID, ada, "", 0); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Want){
		"user": func(w *Want) { w.User = "1005" }, "target": func(w *Want) { w.Target = "1" }, "seal": func(w *Want) { w.Seal = "x" },
		"program": func(w *Want) { w.Path = "/usr/bin/x" }, "argument": func(w *Want) { w.Argv = [][]byte{[]byte("id"), []byte("-u\xfe")} },
		"fewer arguments": func(w *Want) { w.Argv = w.Argv[:1] }, "approvers": func(w *Want) { w.Rules = []core.ApprovalRule{{Users: []string{"ada"}, Number: 2}} },
		"policy": func(w *Want) {
			w.Rules = []core.ApprovalRule{{Policy: core.PolicyRef{ID: "other"}, Users: []string{"ada"}, Number: 1}}
		},
	} {
		other := want("1000")
		change(&other)
		if r, err := d.Use(&other, "R"); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
	if _, err := d.Use(&w, "R"); err != nil {
		t.Error(err)
	}
}

func TestWhoDecides(t *testing.T) {
	bob := Person{User: "1000", Name: "bob"}
	groups := core.ApprovalRule{Groups: []string{"ops"}, Users: []string{"#1004"}, Number: 1}
	for name, tc := range map[string]struct {
		rules []core.ApprovalRule
		by    Person
		err   error
	}{
		"named":                       {nil, ada, nil},
		"an administrator":            {nil, root, nil},
		"nobody named, administrator": {[]core.ApprovalRule{{Number: 1}}, root, nil},
		"nobody named":                {[]core.ApprovalRule{{Number: 1}}, ada, ErrUnknown},
		"not named":                   {nil, mal, ErrUnknown},
		"of a group":                  {[]core.ApprovalRule{groups}, eve, nil},
		"of none":                     {[]core.ApprovalRule{groups}, ada, ErrUnknown},
		"by number":                   {[]core.ApprovalRule{groups}, Person{User: "1004", Name: "x"}, nil},
		"called like a number":        {[]core.ApprovalRule{groups}, Person{User: "1006", Name: "#1004"}, ErrUnknown},
		"themself":                    {[]core.ApprovalRule{{Users: []string{"bob"}, Number: 1}}, bob, ErrOwn},
		// Attacks: root by sudo, su from the same login, an administrator's own.
		"themself as root":             {nil, Person{User: "0", Name: "root", Login: "1000", Administrator: true}, ErrOwn},
		"themself as somebody":         {nil, Person{User: "1001", Name: "ada", Login: "1000"}, ErrOwn},
		"the same login":               {nil, Person{User: "1001", Name: "ada", Login: "1009"}, ErrOwn},
		"themself, as administrator":   {nil, Person{User: "1000", Name: "bob", Administrator: true}, ErrOwn},
		"escalated, before that":       {[]core.ApprovalRule{{Users: []string{"ada"}, EscalatedUsers: []string{"eve"}, Number: 1}}, eve, ErrUnknown},
		"for one of the two rules":     {[]core.ApprovalRule{{Users: []string{"ada"}, Number: 1}, groups}, ada, nil},
		"another login of an approver": {nil, Person{User: "1001", Name: "ada", Login: "1010"}, nil},
	} {
		d := newDesk(t)
		w := want("1000", tc.rules...)
		w.Login = "1009"
		r := d.ask(t, w)
		for verb, decide := range map[string]func() (Record, error){
			"extend": func() (Record, error) { return d.Extend(r.ID, tc.by, "", 2*time.Hour) },
			"deny":   func() (Record, error) { return d.Deny(r.ID, tc.by, "") },
		} {
			if _, err := decide(); !errors.Is(err, tc.err) && !(tc.err == nil && errors.Is(err, ErrConflict)) {
				t.Errorf("%s: %s: %v, expected %v", name, verb, err, tc.err)
			}
		}
		fresh := newDesk(t)
		r = fresh.ask(t, w)
		if _, err := fresh.Approve(r.ID, tc.by, "", 0); !errors.Is(err, tc.err) {
			t.Errorf("%s: %v, expected %v", name, err, tc.err)
		}
		if r, _ := fresh.Get(r.ID); tc.err != nil && (r.State != Pending || len(r.Decisions) > 0) {
			t.Errorf("%s: it is %s", name, r.State)
		}
		if MayDecide(&r, tc.by) != (tc.err == nil) {
			t.Errorf("%s: MayDecide", name)
		}
	}
}

func TestAsManyAsPolicyWants(t *testing.T) {
	two := core.ApprovalRule{Policy: core.PolicyRef{ID: "two"}, Users: []string{"ada", "eve", "mal"}, Number: 2}
	one := core.ApprovalRule{Policy: core.PolicyRef{ID: "one"}, Users: []string{"mal"}, Number: 1}
	for name, tc := range map[string]struct {
		rules []core.ApprovalRule
		by    []Person
		want  []State
	}{
		"two of three":               {[]core.ApprovalRule{two}, []Person{ada, eve}, []State{Pending, Approved}},
		"one twice":                  {[]core.ApprovalRule{two}, []Person{ada, ada, mal}, []State{Pending, Pending, Approved}},
		"an administrator is one":    {[]core.ApprovalRule{two}, []Person{root, ada}, []State{Pending, Approved}},
		"two policies":               {[]core.ApprovalRule{two, one}, []Person{ada, eve, mal}, []State{Pending, Pending, Approved}},
		"one person for both of two": {[]core.ApprovalRule{two, one}, []Person{mal, ada}, []State{Pending, Approved}},
	} {
		d := newDesk(t)
		r := d.ask(t, want("1000", tc.rules...))
		for i, by := range tc.by {
			_, err := d.Approve(r.ID, by, "", 0)
			if twice := i > 0 && by.User == tc.by[i-1].User; errors.Is(err, ErrConflict) != twice || err != nil && !twice {
				t.Errorf("%s: %d: %v", name, i, err)
			}
			if got := d.state(t, r.ID); got != tc.want[i] {
				t.Errorf("%s: after %d it is %s, expected %s", name, i, got, tc.want[i])
			}
		}
	}
}

// One table, whoever asks: every state and every cause.
func TestTheTableIsTheOnlyRoute(t *testing.T) {
	for _, from := range []State{Pending, Escalated, Approved, Denied, Expired, Used, Withdrawn} {
		for _, cause := range []Cause{Agree, Approve, Deny, Extend, Launch, Withdraw} {
			d := newDesk(t)
			rule := core.ApprovalRule{Users: []string{"ada", "eve"}, EscalatedUsers: []string{"mal"}, Number: 1}
			if cause == Agree {
				rule.Number = 2
			}
			w := want("1000", rule)
			r := d.ask(t, w)
			reach := map[State][]func() error{
				Escalated: {func() error { d.pass(published.Pending); _, err := d.Get(r.ID); return err }},
				Approved: {func() error { _, err := d.Approve(r.ID, eve, "", time.Hour); return err },
					func() error {
						if cause == Agree {
							_, err := d.Approve(r.ID, root, "", 0)
							return err
						}
						return nil
					}},
				Denied:    {func() error { _, err := d.Deny(r.ID, eve, ""); return err }},
				Expired:   {func() error { d.pass(published.Expiration); _, err := d.Get(r.ID); return err }},
				Withdrawn: {func() error { _, err := d.Withdraw(r.ID, "1000"); return err }},
			}
			reach[Used] = append(slices.Clone(reach[Approved]), func() error { _, err := d.Use(&w, "R0"); return err })
			for _, step := range reach[from] {
				if err := step(); err != nil {
					t.Fatal(from, cause, err)
				}
			}
			if got := d.state(t, r.ID); got != from {
				t.Fatalf("it is %s, expected %s", got, from)
			}
			err := map[Cause]func() error{
				Agree:    func() error { _, err := d.Approve(r.ID, ada, "", 0); return err },
				Approve:  func() error { _, err := d.Approve(r.ID, ada, "", 0); return err },
				Deny:     func() error { _, err := d.Deny(r.ID, ada, ""); return err },
				Extend:   func() error { _, err := d.Extend(r.ID, ada, "", 20*time.Hour); return err },
				Launch:   func() error { _, err := d.Use(&w, "R1"); return err },
				Withdraw: func() error { _, err := d.Withdraw(r.ID, "1000"); return err },
			}[cause]()
			row, ok := next(from, cause)
			expected := from
			if ok {
				expected = row.To
			}
			if got := d.state(t, r.ID); got != expected || (err == nil) != ok || !ok && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNone) {
				t.Errorf("%s, %s: %v, and it is %s, expected %s", from, cause, err, got, expected)
			}
		}
	}
}

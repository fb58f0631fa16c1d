package rights

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
	"kpm/platform/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sudo = "sudo"

func account(id, name string) core.Account { return core.Account{User: core.UserID(id), Name: name} }

// ada and bob are people, daemon is none.
var (
	root   = account("0", "root")
	daemon = account("2", "daemon")
	ada    = account("1000", "ada")
	bob    = account("1001", "bob")
	eve    = account("1002", "eve")
)

// machine is a book on a machine of the test's.
type machine struct {
	t       *testing.T
	path    string
	members *fake.Membership
	known   fake.Accounts
	boot    string
	since   time.Duration
	// wanted and watched are what policy says of somebody in these groups.
	wanted, watched map[core.UserID]bool
	asked           map[core.UserID][]string
	doubtful        bool  // of policy, about everybody
	silent          error // of policy
	refuse          error // of the journal
	full            error // of the disk
	offline         bool
	journal         []string
	told            []string
	alarms          map[string]time.Duration
	protected       []string
	last            bool
	*Book
}

func newMachine(t *testing.T, members ...core.Account) *machine {
	m := &machine{
		t: t, path: filepath.Join(t.TempDir(), "rights.json"), members: &fake.Membership{}, boot: "one", since: time.Hour,
		known:  fake.Accounts{root, daemon, ada, bob, eve},
		wanted: map[core.UserID]bool{}, watched: map[core.UserID]bool{}, asked: map[core.UserID][]string{}, alarms: map[string]time.Duration{},
	}
	var list []port.Member
	for _, a := range members {
		list = append(list, port.Member{Account: a})
	}
	m.members.Put(sudo, list...)
	m.open()
	return m
}

// open is a service that starts.
func (m *machine) open() {
	m.t.Helper()
	cfg := Config{
		File: statefile.File{Path: m.path, Read: os.ReadFile, WriteAtomic: func(path string, data []byte, perm os.FileMode) error {
			if m.full != nil {
				return m.full
			}
			return os.WriteFile(path, data, perm)
		}},
		Membership: m.members, Accounts: m.known, Clock: m, Alarms: m, EndOverdue: []string{"/end"},
		Groups: []string{sudo, "wheel"}, Protected: m.protected, TakeLast: m.last,
		System: func(a core.Account) bool { return len(a.User) < 4 },
		Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	if !m.offline {
		cfg.Ask = func(_ context.Context, a core.Account, groups []string) (core.Removal, error) {
			m.asked[a.User] = groups
			r := core.Removal{Doubtful: m.doubtful}
			if m.wanted[a.User] {
				r.Policies = []core.PolicyRef{{ID: "p"}}
			}
			if m.watched[a.User] {
				r.Monitored = []core.PolicyRef{{ID: "w"}}
			}
			return r, m.silent
		}
		cfg.Record = func(c Change) error {
			if m.refuse == nil {
				m.journal = append(m.journal, c.What+" "+c.Place.Name)
			}
			return m.refuse
		}
		cfg.Tell = func(c Change) { m.told = append(m.told, c.What+" "+c.Place.Name) }
	}
	book, err := Open(cfg)
	if err != nil {
		m.t.Fatal(err)
	}
	m.Book = book
}

func (m *machine) Now() (string, time.Duration, error) { return m.boot, m.since, nil }

func (m *machine) Set(_ context.Context, name string, in time.Duration, _ []string) error {
	m.alarms[name] = in
	return nil
}

func (m *machine) Clear(_ context.Context, name string) error {
	delete(m.alarms, name)
	return nil
}

func (m *machine) round() {
	m.t.Helper()
	if err := m.Round(context.Background()); err != nil {
		m.t.Fatal(err)
	}
}

// are holds the members of the group against what is expected.
func (m *machine) are(names ...string) {
	m.t.Helper()
	if diff := cmp.Diff(names, m.members.Names(sudo)); diff != "" {
		m.t.Errorf("members: %s", diff)
	}
}

func (m *machine) wrote(lines ...string) {
	m.t.Helper()
	if diff := cmp.Diff(lines, m.journal); diff != "" {
		m.t.Errorf("journal: %s", diff)
	}
	m.journal = nil
}

func TestPolicyTakesAndGivesBack(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User] = true
	m.round()
	m.are("bob")
	m.wrote("taken ada")
	if diff := cmp.Diff([]string{"taken ada"}, m.told); diff != "" {
		t.Error(diff)
	}
	m.round()
	m.are("bob")
	m.wrote()
	// A policy about the group is asked as if ada were in it.
	if !slices.Contains(m.asked[ada.User], sudo) {
		t.Errorf("policy was asked about ada in %q", m.asked[ada.User])
	}
	// The policy is off, or gone, or excludes her.
	m.wanted[ada.User] = false
	m.round()
	m.are("ada", "bob")
	m.wrote("given-back ada")
	if list := m.List(""); len(list.Taken) > 0 {
		t.Errorf("kept: %+v", list)
	}
}

func TestWhoeverIsPutInAgainIsTakenOutAgain(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User] = true
	m.round()
	if err := m.members.Set(context.Background(), sudo, ada, true); err != nil {
		t.Fatal(err)
	}
	m.round()
	m.are("bob")
	m.wrote("taken ada", "taken ada")
	if list := m.List(""); len(list.Taken) != 1 {
		t.Errorf("kept: %+v", list)
	}
}

func TestWatchingPoliciesChangeNothing(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.watched[ada.User] = true
	m.round()
	m.round()
	m.are("ada", "bob")
	m.wrote("would-take ada") // once
}

// Nobody answers: nobody loses or gains anything.
func TestWithoutAnAnswerNothingChanges(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User] = true
	m.round()
	m.silent = core.ErrUndecided
	if err := m.Round(context.Background()); !errors.Is(err, core.ErrUndecided) {
		t.Errorf("%v", err)
	}
	m.are("bob")
}

// Attack: somebody who was taken out has the directory not answer, so that policy does
// not know whether they are meant.
func TestWhileItIsDoubtfulNobodyComesBack(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted["1000"] = true
	m.round()
	m.are("bob")
	m.wanted["1000"], m.doubtful = false, true
	m.round()
	m.are("bob")
	m.doubtful = false
	m.round()
	m.are("ada", "bob")
}

func TestWhoIsNeverTaken(t *testing.T) {
	everybody := map[core.UserID]bool{"0": true, "2": true, "1000": true, "1001": true, "1002": true}
	fixed := port.Member{Account: eve, Fixed: "it is the account's primary group"}
	for name, tc := range map[string]struct {
		members   []port.Member
		protected []string
		last      bool
		root      bool
		left      []string
	}{
		"the system's accounts":              {[]port.Member{{Account: root}, {Account: daemon}, {Account: ada}}, nil, false, true, []string{"daemon", "root"}},
		"who is named in the settings":       {[]port.Member{{Account: ada}, {Account: bob}}, []string{"bob"}, false, false, []string{"bob"}},
		"who is named by id":                 {[]port.Member{{Account: ada}, {Account: bob}}, []string{"#1001"}, false, false, []string{"bob"}},
		"the last administrator":             {[]port.Member{{Account: ada}, {Account: bob}}, nil, false, false, []string{"ada"}},
		"the last beside a system's account": {[]port.Member{{Account: daemon}, {Account: bob}}, nil, false, false, []string{"bob", "daemon"}},
		"not the last: root logs in":         {[]port.Member{{Account: ada}, {Account: bob}}, nil, false, true, nil},
		"not the last: a setting":            {[]port.Member{{Account: ada}, {Account: bob}}, nil, true, false, nil},
		"whose primary group it is":          {[]port.Member{{Account: ada}, fixed}, nil, false, false, []string{"eve"}},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.wanted, m.protected, m.last = everybody, tc.protected, tc.last
			m.members.Put(sudo, tc.members...)
			if tc.root {
				m.members.LetRootLogIn()
			}
			m.open()
			m.round()
			m.are(tc.left...)
			before := len(m.journal)
			m.round()
			if len(m.journal) != before {
				t.Errorf("said again: %q", m.journal)
			}
		})
	}
}

func TestAnAdministratorGivesBack(t *testing.T) {
	m := newMachine(t, ada, bob)
	m.wanted[ada.User] = true
	m.round()
	if err := m.Return(context.Background(), "ada", core.Principal{Kind: core.Admin}); err != nil {
		t.Fatal(err)
	}
	m.are("ada", "bob")
	m.open()
	m.round()
	m.are("ada", "bob")
	if err := m.Resume("#1000"); err != nil {
		t.Fatal(err)
	}
	m.round()
	m.are("bob")
	for _, err := range []error{m.Return(context.Background(), "bob", core.Principal{}), m.Resume("bob")} {
		if !errors.Is(err, ErrUnknown) {
			t.Errorf("of whom nothing was taken: %v", err)
		}
	}
}

// Attack: the account is removed, and its number or name is another's by the time that
// rights are given back.
func TestNobodyInheritsRights(t *testing.T) {
	for name, now := range map[string]core.Account{"the number": account("1000", "mallory"), "the name": account("1005", "ada")} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, ada, bob)
			m.wanted[ada.User] = true
			m.round()
			m.known = fake.Accounts{root, bob, now}
			m.wanted[ada.User] = false
			m.open()
			m.round()
			m.are("bob")
			if list := m.List(""); len(list.Taken) > 0 {
				t.Errorf("kept: %+v", list)
			}
		})
	}
}

func TestWhatCannotBeWrittenIsNotDone(t *testing.T) {
	for name, fail := range map[string]func(*machine){
		"the journal": func(m *machine) { m.refuse = errors.New("disk full") },
		"the file":    func(m *machine) { m.full = errors.New("disk full") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, ada, bob)
			m.wanted[ada.User] = true
			fail(m)
			if err := m.Round(context.Background()); err == nil {
				t.Error("no error")
			}
			m.are("ada", "bob")
			m.refuse, m.full = nil, nil
			m.open()
			m.round()
			m.are("bob")
		})
	}
}

// A service is killed between the record and the change, or the change fails: the next
// round makes the group what the file says, whatever policy says by then.
func TestKilledBetweenRecordAndChange(t *testing.T) {
	dead := errors.New("killed")
	for name, tc := range map[string]struct {
		wanted bool // by the time that the service is back
		left   []string
	}{"policy still wants it": {true, []string{"bob"}}, "policy does not want it any more": {false, []string{"ada", "bob"}}} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, ada, bob)
			m.wanted[ada.User] = true
			m.members.Before = func(string, core.Account, bool) error { return dead }
			if err := m.Round(context.Background()); !errors.Is(err, dead) {
				t.Fatal(err)
			}
			m.are("ada", "bob")
			m.members.Before = nil
			m.wanted[ada.User] = tc.wanted
			m.open()
			m.round()
			m.are(tc.left...)
			if taken := len(m.List("").Taken); (taken == 1) != tc.wanted {
				t.Errorf("the file has %d places", taken)
			}
			// Nothing is owed: an administrator's own change stays.
			m.wanted[ada.User] = false
			m.round()
			m.are("ada", "bob")
			if err := m.members.Set(context.Background(), sudo, ada, false); err != nil {
				t.Fatal(err)
			}
			m.round()
			m.are("bob")
		})
	}
}

//go:build windows

package windows

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"kpm/core"
)

// accountBook stands in for the accounts of a machine, which Wine does not keep.
type accountBook struct {
	account core.Account
	fails   error // of Create

	mu      sync.Mutex
	made    []uint32
	removed []uint32
	groups  []string
	left    []uint32 // of an earlier service
}

func (b *accountBook) Create(_ context.Context, number uint32, groups []string) (core.Account, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made, b.groups = append(b.made, number), groups
	return b.account, b.fails
}

func (b *accountBook) Remove(_ context.Context, number uint32) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removed = append(b.removed, number)
	return nil
}

func (b *accountBook) Numbers() ([]uint32, error) { return b.left, nil }

func (b *accountBook) gone() []uint32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.removed)
}

// protectAdministrators turns Administrator Protection on, for the test: Windows has
// no elevated token of the person's own.
func protectAdministrators(t *testing.T) {
	t.Helper()
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, uacKey, registry.QUERY_VALUE|registry.SET_VALUE)
	must(t, err)
	const name = "TypeOfAdminApprovalMode"
	before, _, err := key.GetIntegerValue(name)
	unset := errors.Is(err, registry.ErrNotExist)
	if !unset {
		must(t, err)
	}
	must(t, key.SetDWordValue(name, 2))
	t.Cleanup(func() {
		if unset {
			must(t, key.DeleteValue(name))
		} else {
			must(t, key.SetDWordValue(name, uint32(before)))
		}
		must(t, key.Close())
	})
}

// Where Windows has no token for an elevation, an account is made for it, and goes
// whatever becomes of it. Without such accounts there is no elevation.
func TestAnAccountForOneCommand(t *testing.T) {
	protectAdministrators(t)
	as := in(t, core.AsUserElevated)
	without := newLauncher(t)
	if _, err := without.tokenFor(t.Context(), as); !errors.Is(err, ErrNoElevation) {
		t.Fatalf("without accounts: %v", err)
	}
	full, refused := errors.New("no room"), errors.New("refused")
	for name, c := range map[string]struct {
		book  *accountBook
		logOn error
		want  error
	}{
		"an account that is not made": {&accountBook{fails: full}, nil, full},
		"a logon that is refused":     {&accountBook{left: []uint32{3, ownNumbers, maxTransient - 1}}, refused, refused},
		"a token":                     {&accountBook{account: own().Account}, nil, nil},
	} {
		l, book := newLauncher(t), c.book
		must(t, l.UseAccounts(t.Context(), book))
		// Those of the lower half are of what policy wants, and may still be in use.
		stale := slices.DeleteFunc(slices.Clone(book.left), func(n uint32) bool { return n < ownNumbers })
		if got := book.gone(); !slices.Equal(got, stale) {
			t.Errorf("%s: of an earlier service %v were removed, expected %v", name, got, stale)
		}
		l.logOn = func(account core.Account, who core.Identity) (*token, error) {
			if account.User != c.book.account.User || who.Login != as.Login || who.Session != as.Session {
				t.Errorf("%s: logged on %+v for %+v", name, account, who)
			}
			if c.logOn != nil {
				return nil, c.logOn
			}
			return sessionElevatedForTests(t, as), nil
		}
		made, err := l.tokenFor(t.Context(), as)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", name, err, c.want)
		}
		if len(book.made) != 1 || book.made[0] < ownNumbers || book.made[0] >= maxTransient || !slices.Equal(book.groups, []string{string(administrators)}) {
			t.Errorf("%s: made %v in %v", name, book.made, book.groups)
		}
		if err == nil && !slices.Equal(book.gone(), stale) {
			t.Errorf("%s: it went before the command", name)
		}
		made.close()
		if got := book.gone(); !slices.Equal(got, append(stale, book.made...)) {
			t.Errorf("%s: removed %v, made %v", name, got, book.made)
		}
	}
	// Another reason than that there is no token makes no account.
	book := &accountBook{}
	l := newLauncher(t)
	must(t, l.UseAccounts(t.Context(), book))
	as.Session = "console"
	if _, err := l.tokenFor(t.Context(), as); !errors.Is(err, ErrNoSession) || len(book.made) != 0 {
		t.Errorf("no session: %v, made %v", err, book.made)
	}
}

// The account goes when the command has ended, once, and what it left running with
// it.
func TestAnAccountGoesWithItsCommand(t *testing.T) {
	l := newLauncher(t)
	made, err := l.tokenFor(t.Context(), in(t, core.AsUser))
	must(t, err)
	removed := make(chan string, 4)
	made.ends = true
	made.unload = func() error { removed <- "profile"; return nil }
	made.remove = func() error { removed <- "account"; return nil }
	c, err := l.spawn(made)
	must(t, err)
	made.close()
	select {
	case <-removed:
		t.Fatal("it went before the command")
	default:
	}
	c.Discard()
	if first, second := <-removed, <-removed; first != "profile" || second != "account" {
		t.Errorf("%s went before the %s", first, second)
	}
	<-c.done
	if !l.tree.Empty(c.ID(), c.Group()) {
		t.Error("it went before what the command left running")
	}
	must(t, l.Close())
	if len(removed) != 0 {
		t.Error("it went twice")
	}
}

// sessionElevatedForTests is a token with an administrator's rights, or under Wine one
// that passes for it: the linked one.
func sessionElevatedForTests(t *testing.T, as core.Identity) *token {
	t.Helper()
	everyday, err := sessionToken(as)
	must(t, err)
	defer everyday.Close()
	from := everyday
	if !everyday.IsElevated() {
		from, err = everyday.GetLinkedToken()
		must(t, err)
		defer from.Close()
	}
	primary, err := primaryOf(from)
	must(t, err)
	return &token{primary: primary}
}

// logonScript stands in for what the system does with accounts, and writes down what
// it was asked for.
type logonScript struct {
	fails     string
	did       []string
	passwords [][]uint16 // as they were
	given     [][]uint16 // the memory that they were in
}

var errScripted = errors.New("refused")

func (s *logonScript) do(what string) error {
	s.did = append(s.did, what)
	if what == s.fails {
		return errScripted
	}
	return nil
}

func (s *logonScript) setPassword(name string, password []uint16) error {
	s.passwords, s.given = append(s.passwords, slices.Clone(password)), append(s.given, password)
	return s.do("password " + name)
}

func (s *logonScript) setFlags(_ string, flags uint32) error {
	if flags&accountIsClosed != 0 {
		return s.do("disable")
	}
	return s.do("enable")
}

func (s *logonScript) logOn(_ string, password []uint16) (windows.Token, error) {
	if !slices.Equal(password, s.passwords[len(s.passwords)-1]) {
		return 0, errors.New("wrong password")
	}
	if err := s.do("log on"); err != nil {
		return 0, err
	}
	var token windows.Token
	err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_QUERY, &token)
	return token, err
}

// The account is enabled for its logon alone, whatever fails, and its password is
// nowhere afterwards.
func TestOneLogon(t *testing.T) {
	whole := []string{"password x", "enable", "log on", "disable", "password x"}
	for fails, want := range map[string][]string{
		"":           whole,
		"password x": whole[:1],
		"enable":     {"password x", "enable", "disable", "password x"},
		"log on":     whole,
		"disable":    whole,
	} {
		s := &logonScript{fails: fails}
		made, err := logOnOnce(s, "x")
		if (fails == "") != (err == nil) || (made != 0) != (err == nil) || err != nil && !errors.Is(err, errScripted) {
			t.Errorf("%q fails: %v, %v", fails, made, err)
		}
		if !slices.Equal(s.did, want) {
			t.Errorf("%q fails: %q, expected %q", fails, s.did, want)
		}
		for i, password := range s.given {
			if slices.ContainsFunc(password, func(unit uint16) bool { return unit != 0 }) {
				t.Errorf("%q fails: password %d is still in memory", fails, i)
			}
			if was := s.passwords[i]; len(was) < 56 || was[len(was)-1] != 0 || i > 0 && slices.Equal(was, s.passwords[0]) {
				t.Errorf("%q fails: password %d of %d characters", fails, i, len(was))
			}
		}
		if made != 0 {
			made.Close()
		}
	}
}

// What policy wants run as an account of its own is logged on as that account, in the
// session of whoever asked, and never as anybody else.
func TestAnAccountThatPolicyWants(t *testing.T) {
	l := newLauncher(t)
	as := in(t, core.AsUserElevated)
	as.Login = as.Account.User
	as.Account = core.Account{User: "S-1-5-21-1-2-3-5555", Name: transientName(7)}
	var asked core.Account
	l.logOn = func(account core.Account, who core.Identity) (*token, error) {
		asked = account
		if who.Session != as.Session || who.Login != as.Login {
			t.Errorf("for %+v", who)
		}
		return nil, errScripted
	}
	if _, err := l.tokenFor(t.Context(), as); !errors.Is(err, errScripted) || asked.User != as.Account.User {
		t.Errorf("%v, asked for %+v", err, asked)
	}
}

//go:build windows

package windows

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

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
		"a logon that is refused":     {&accountBook{left: []uint32{3, 5}}, refused, refused},
		"a token":                     {&accountBook{account: own().Account}, nil, nil},
	} {
		l, book := newLauncher(t), c.book
		must(t, l.UseAccounts(t.Context(), book))
		if got := book.gone(); !slices.Equal(got, book.left) {
			t.Errorf("%s: of an earlier service %v were removed, expected %v", name, got, book.left)
		}
		l.logOn = func(account core.Account, who core.Identity) (*token, error) {
			if account.User != c.book.account.User || who.Login != as.Login || who.Session != as.Session {
				t.Errorf("%s: logged on %+v for %+v", name, account, who)
			}
			if c.logOn != nil {
				return nil, c.logOn
			}
			primary, err := sessionToken(as)
			return &token{primary: primary}, err
		}
		made, err := l.tokenFor(t.Context(), as)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", name, err, c.want)
		}
		if len(book.made) != 1 || !slices.Equal(book.groups, []string{string(administrators)}) {
			t.Errorf("%s: made %v in %v", name, book.made, book.groups)
		}
		if err == nil && !slices.Equal(book.gone(), book.left) {
			t.Errorf("%s: it went before the command", name)
		}
		made.close()
		if got := book.gone(); !slices.Equal(got, append(book.left, book.made...)) {
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
	removed := make(chan bool, 2)
	made.remove = func() error { removed <- true; return nil }
	c, err := l.spawn(made)
	must(t, err)
	made.close()
	select {
	case <-removed:
		t.Fatal("it went before the command")
	default:
	}
	c.Discard()
	<-removed
	wait(t, "its group ends", func() bool { return l.tree.Empty(c.ID(), c.Group()) })
	must(t, l.Close())
	if len(removed) != 0 {
		t.Error("it went twice")
	}
}

package conformance

import (
	"context"
	"errors"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
)

// Logins are accounts that log in with a secret which the suite knows, on a machine
// that locks an account after Tries wrong ones.
type Logins struct {
	Authenticator port.Authenticator
	Account       core.Account
	// Expired is one that may not be used any more, Locked one of the suite's own.
	Expired, Locked core.Account
	Secret          string
	Tries           int
	// Alone reports whether nothing that the port has started is left.
	Alone func() bool
	// Looked is called while somebody is asked.
	Looked func(t *testing.T)
}

// person answers what is asked with one thing.
type person struct {
	enters  string
	refuses error
	waits   bool
	looked  func()

	asked, told []string
	secret      bool
}

func (p *person) Ask(ctx context.Context, text string, secret bool) ([]byte, error) {
	p.asked, p.secret = append(p.asked, text), secret
	if p.looked != nil {
		p.looked()
	}
	if p.waits {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return []byte(p.enters), p.refuses
}

func (p *person) Tell(_ context.Context, text string) error {
	p.told = append(p.told, text)
	return nil
}

// Authentication holds an Authenticator to what port.Authenticator says.
func Authentication(t *testing.T, l Logins) {
	ask := func(t *testing.T, account core.Account, p *person) error {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		return l.Authenticator.Authenticate(ctx, account, p)
	}
	t.Run("who knows the secret is let in", func(t *testing.T) {
		p := &person{enters: l.Secret, looked: func() { l.Looked(t) }}
		if err := ask(t, l.Account, p); err != nil {
			t.Error(err)
		}
		if len(p.asked) != 1 || !p.secret {
			t.Errorf("asked %q, secret %t; expected one question for a secret", p.asked, p.secret)
		}
	})
	for name, enters := range map[string]string{"wrong": l.Secret + "x", "empty": "", "cut short by NUL": l.Secret + "\x00x"} {
		t.Run("who does not is not: "+name, func(t *testing.T) {
			if err := ask(t, l.Account, &person{enters: enters}); err == nil {
				t.Error("was let in")
			} else if name == "wrong" && !errors.Is(err, port.ErrNotAuthentic) {
				t.Errorf("%v, expected port.ErrNotAuthentic", err)
			}
			// It has not counted for what follows.
			if err := ask(t, l.Account, &person{enters: l.Secret}); err != nil {
				t.Errorf("then with the right one: %v", err)
			}
		})
	}
	t.Run("nobody", func(t *testing.T) {
		for _, name := range []string{"", "no-such-person", "-x", "a/../b"} {
			if err := ask(t, core.Account{User: "4999", Name: name}, &person{enters: l.Secret}); err == nil {
				t.Errorf("%q was let in", name)
			}
		}
	})
	t.Run("who declines", func(t *testing.T) {
		if err := ask(t, l.Account, &person{refuses: core.ErrCancelled}); !errors.Is(err, core.ErrCancelled) {
			t.Errorf("%v, expected core.ErrCancelled", err)
		}
	})
	t.Run("an account that has expired", func(t *testing.T) {
		if err := ask(t, l.Expired, &person{enters: l.Secret}); !errors.Is(err, port.ErrAccountRefused) {
			t.Errorf("%v, expected port.ErrAccountRefused", err)
		}
	})
	t.Run("nobody is waited for any longer", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		p := &person{waits: true, looked: cancel}
		if err := l.Authenticator.Authenticate(ctx, l.Account, p); !errors.Is(err, context.Canceled) {
			t.Errorf("%v, expected context.Canceled", err)
		}
	})
	t.Run("too many tries lock it", func(t *testing.T) {
		for range l.Tries {
			if err := ask(t, l.Locked, &person{enters: "guess"}); !errors.Is(err, port.ErrNotAuthentic) {
				t.Errorf("%v, expected port.ErrNotAuthentic", err)
			}
		}
		if err := ask(t, l.Locked, &person{enters: l.Secret}); err == nil {
			t.Errorf("after %d wrong ones the right one was taken", l.Tries)
		}
	})
	if until := time.Now().Add(time.Minute); !l.Alone() {
		for !l.Alone() && time.Now().Before(until) {
			time.Sleep(10 * time.Millisecond)
		}
		if !l.Alone() {
			t.Error("something that was started is left")
		}
	}
}

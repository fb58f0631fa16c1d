package mfa

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/statefile"
	"kpm/core/view"
	"kpm/launcher/tries"
)

// machine stands in for PAM: everybody's password is "open sesame", after which a token
// is asked for if there is one.
type machine struct {
	token   string
	refused error // of the account
	missing error // there is no such check
	says    string
	looked  int
}

func (m *machine) Authenticate(ctx context.Context, account core.Account, c port.Conversation) error {
	if m.missing != nil {
		return m.missing
	}
	if m.says != "" {
		if err := c.Tell(ctx, m.says); err != nil {
			return err
		}
	}
	password, err := c.Ask(ctx, "Password: ", true)
	if err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	m.looked++
	right := string(password) == "open sesame"
	if m.token != "" {
		token, err := c.Ask(ctx, "Token: ", false)
		if err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
		right = right && string(token) == m.token
	}
	switch {
	case !right:
		return fmt.Errorf("authenticate %s: %w", account.Name, port.ErrNotAuthentic)
	case m.refused != nil:
		return m.refused
	}
	return nil
}

// typist answers with what somebody types, and declines after that.
type typist struct {
	answers []string
	asked   []string
}

func (p *typist) Ask(_ context.Context, text string, _ bool) ([]byte, error) {
	p.asked = append(p.asked, text)
	if len(p.answers) == 0 {
		return nil, core.ErrCancelled
	}
	next := p.answers[0]
	p.answers = p.answers[1:]
	return []byte(next), nil
}

func (p *typist) Tell(context.Context, string) error { return nil }

// counter counts in a file of this test's memory.
func counter() *tries.Counter {
	var kept []byte
	return tries.Open(tries.Config{
		LockOut: 15 * time.Minute,
		File: statefile.File{
			Path: "tries.json",
			Read: func(string) ([]byte, error) {
				if kept == nil {
					return nil, fs.ErrNotExist
				}
				return kept, nil
			},
			WriteAtomic: func(_ string, data []byte, _ os.FileMode) error { kept = data; return nil },
		},
	})
}

func (w *world) login(m *machine) Login {
	return Login{Authenticator: m, Tries: counter(), Journal: w, Memory: w.Memory, Log: slog.New(slog.DiscardHandler)}
}

func TestLoggingInAgain(t *testing.T) {
	expired := fmt.Errorf("authenticate: %w", port.ErrAccountRefused)
	for name, tc := range map[string]struct {
		machine machine
		answers []string
		wrong   string // "" if it is right, or another error
		final   bool
		is      error
		causes  string
	}{
		"right":           {machine{}, []string{"open sesame"}, "", false, nil, "right"},
		"with a token":    {machine{token: "7"}, []string{"open sesame", "7"}, "", false, nil, "right"},
		"wrong":           {machine{}, []string{"x"}, "it is not what you log in with", false, nil, "wrong"},
		"a wrong token":   {machine{token: "7"}, []string{"open sesame", "8"}, "it is not what you log in with", false, nil, "wrong"},
		"refused account": {machine{refused: expired}, []string{"open sesame"}, "your account may not be used now", true, nil, "wrong"},
		"declined":        {machine{}, nil, "", false, core.ErrCancelled, ""},
		"no such check":   {machine{missing: errors.ErrUnsupported}, []string{"open sesame"}, "", false, ErrNoLogin, ""},
		"a broken module": {machine{refused: errors.New("module is unknown")}, []string{"open sesame"}, "", false, ErrNoLogin, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			said, err := w.login(&tc.machine).Verify(t.Context(), anna, "REQUEST", &typist{answers: tc.answers})
			var wrong *Wrong
			switch {
			case tc.is != nil:
				if !errors.Is(err, tc.is) || errors.As(err, &wrong) {
					t.Errorf("%v", err)
				}
			case tc.wrong == "":
				if err != nil || said != "login" {
					t.Errorf("%q, %v", said, err)
				}
			case !errors.As(err, &wrong) || !strings.HasPrefix(wrong.Message, tc.wrong) || wrong.Final != tc.final:
				t.Errorf("%v", err)
			}
			if w.causes() != tc.causes {
				t.Errorf("recorded %q", w.causes())
			}
		})
	}
}

// Attack: passwords are guessed. Five answers are looked at, whatever commands they are
// for; a question that is declined is none.
func TestFiveWrongLoginsLockOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := newWorld(t), &machine{}
		l := w.login(m)
		here := Place{User: "1000", Terminal: core.Terminal{Device: 1, Leader: core.ProcessID{PID: 1}}}
		w.Remember(here, []core.PolicyRef{{ID: "p"}})
		for range 10 {
			if _, err := l.Verify(t.Context(), anna, "", &typist{}); !errors.Is(err, core.ErrCancelled) {
				t.Fatal(err)
			}
		}
		var wrong *Wrong
		for i := range tries.Most {
			_, err := l.Verify(t.Context(), anna, "", &typist{answers: []string{"x"}})
			if !errors.As(err, &wrong) || (wrong.Locked > 0) != (i == tries.Most-1) {
				t.Fatalf("answer %d: %v", i+1, err)
			}
		}
		if w.causes() != "wrong wrong wrong wrong wrong locked" || w.Remembered(here, []core.PolicyRef{{ID: "p"}}) {
			t.Errorf("recorded %q", w.causes())
		}
		if err := l.Ready(anna); !errors.As(err, &wrong) {
			t.Errorf("asked while locked out: %v", err)
		}
		// One that was asked before is not looked at either, right or wrong.
		if _, err := l.Verify(t.Context(), anna, "", &typist{answers: []string{"open sesame"}}); !errors.As(err, &wrong) || wrong.Locked == 0 || m.looked != tries.Most {
			t.Errorf("%v, %d answers were looked at", err, m.looked)
		}
		time.Sleep(15 * time.Minute)
		if _, err := l.Verify(t.Context(), anna, "", &typist{answers: []string{"open sesame"}}); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}

// The first factor that knows a person is theirs. Attack: somebody who is locked out of
// codes goes on with passwords.
func TestWhichFactorServes(t *testing.T) {
	w := newWorld(t)
	codes, login := Codes{w.Factors}, w.login(&machine{})
	chosen := func(list ...Factor) string {
		f, err := Chosen(list, anna)
		if f == nil {
			return err.Error()
		}
		return strings.TrimSpace(fmt.Sprint(f.Kind(), " ", err))
	}
	if got := chosen(codes); got != "mfa: "+ErrNotEnrolled.Error() {
		t.Errorf("nobody is enrolled: %s", got)
	}
	if got := chosen(codes, login); got != "pam <nil>" {
		t.Errorf("who has no codes: %s", got)
	}
	w.enroll(t)
	if got := chosen(codes, login); got != "totp <nil>" {
		t.Errorf("who has codes: %s", got)
	}
	if got := chosen(login, codes); got != "pam <nil>" {
		t.Errorf("in another order: %s", got)
	}
	for range maxWrong {
		w.check("000000")
	}
	if got := chosen(codes, login); !strings.HasPrefix(got, "totp too many") {
		t.Errorf("locked out: %s", got)
	}
}

func TestATicketForLoggingInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, m := newWorld(t), &machine{token: "7", says: "Welcome"}
		s := NewSteps(w.login(m), w.Factors)
		defer s.Close()
		user := core.Principal{Kind: core.User, User: anna.User}
		begin := func() view.Login {
			t.Helper()
			asked, err := s.Begin(t.Context(), user, anna)
			if err != nil || asked.Question != "log in again. Password: " || !asked.Secret || asked.ID == "" || asked.Ticket != nil || len(asked.Told) != 1 {
				t.Fatalf("%+v, %v", asked, err)
			}
			return asked
		}
		first := begin()
		asked := begin()
		// Attack: an answer to what somebody else, or nobody, was asked.
		for _, one := range []struct {
			user core.UserID
			id   string
		}{{"1001", asked.ID}, {anna.User, first.ID}, {anna.User, ""}} {
			if got, err := s.Answer(t.Context(), one.user, one.id, []byte("open sesame")); !errors.Is(err, ErrNoStep) {
				t.Errorf("%v: %+v, %v", one, got, err)
			}
		}
		asked, err := s.Answer(t.Context(), anna.User, asked.ID, []byte("open sesame"))
		if err != nil || asked.Question != "Token: " || asked.Secret || asked.Ticket != nil {
			t.Fatalf("%+v, %v", asked, err)
		}
		asked, err = s.Answer(t.Context(), anna.User, asked.ID, []byte("7"))
		if err != nil || asked.Ticket == nil {
			t.Fatalf("%+v, %v", asked, err)
		}
		if _, err := w.Redeem(t.Context(), user, anna, asked.Ticket.Ticket); err != nil {
			t.Fatal(err)
		}
		// A password ends no factor.
		if got, err := s.Begin(t.Context(), user, anna); !errors.Is(err, ErrEnrolled) {
			t.Errorf("who is enrolled: %+v, %v", got, err)
		}
	})
}

func TestWhoLogsInWronglyIsGivenNoTicket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := NewSteps(w.login(&machine{}), w.Factors)
		defer s.Close()
		user := core.Principal{Kind: core.User, User: anna.User}
		for i := range tries.Most {
			asked, err := s.Begin(t.Context(), user, anna)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Answer(t.Context(), anna.User, asked.ID, []byte("x"))
			var wrong *Wrong
			if !errors.As(err, &wrong) || core.KindOf(err) != core.NotPermitted || got.Ticket != nil {
				t.Fatalf("try %d: %+v, %v", i+1, got, err)
			}
		}
		if _, err := s.Begin(t.Context(), user, anna); core.KindOf(err) != core.NotPermitted {
			t.Errorf("locked out: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // nobody answers
		w := newWorld(t)
		s := NewSteps(w.login(&machine{}), w.Factors)
		defer s.Close()
		asked, err := s.Begin(t.Context(), core.Principal{Kind: core.User, User: anna.User}, anna)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Minute)
		if got, err := s.Answer(t.Context(), anna.User, asked.ID, []byte("open sesame")); !errors.Is(err, ErrNoStep) {
			t.Errorf("too late: %+v, %v", got, err)
		}
	})
}

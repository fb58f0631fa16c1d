package windows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/core/port"
)

const anna core.UserID = "S-1-5-21-1-2-3-1001"

// logonStand is what Windows does, with one account.
type logonStand struct {
	user    core.UserID // whom the name is of when it is logged on
	says    error
	logged  []string
	buffers [][]uint16
	done    context.CancelFunc
}

func (s *logonStand) name(user core.UserID) (string, string, error) {
	if user != anna {
		return "", "", core.ErrNoAccount
	}
	return "anna", "DESK", nil
}

func (s *logonStand) logOn(name, domain string, password []uint16) (core.UserID, error) {
	s.buffers = append(s.buffers, password)
	s.logged = append(s.logged, domain+`\`+name+" "+typed(password))
	if s.done != nil {
		s.done()
	}
	return s.user, s.says
}

func typed(wide []uint16) string {
	var b strings.Builder
	for _, u := range wide[:len(wide)-1] {
		b.WriteRune(rune(u))
	}
	return b.String()
}

// typist is a person.
type typist struct {
	enters  []byte
	refuses error
	asked   int
	secret  bool
}

func (p *typist) Ask(_ context.Context, _ string, secret bool) ([]byte, error) {
	p.asked++
	p.secret = secret
	return p.enters, p.refuses
}

func (p *typist) Tell(context.Context, string) error { return nil }

// The password is asked for once and is not shown; Windows is asked about the account
// of the SID, and nothing of the password is left in memory.
func TestAuthenticate(t *testing.T) {
	stand, person := &logonStand{user: anna}, &typist{enters: []byte("pä ss")}
	// What the caller has of a name counts for nothing.
	if err := authenticate(t.Context(), stand, core.Account{User: anna, Name: "administrator"}, person); err != nil {
		t.Fatal(err)
	}
	if person.asked != 1 || !person.secret {
		t.Errorf("asked %d times, secret %t", person.asked, person.secret)
	}
	if want := []string{`DESK\anna pä ss`}; !slices.Equal(stand.logged, want) {
		t.Errorf("logged on %q, expected %q", stand.logged, want)
	}
	wiped(t, stand, person)
}

func wiped(t *testing.T, stand *logonStand, person *typist) {
	t.Helper()
	for _, buffer := range stand.buffers {
		if slices.ContainsFunc(buffer, func(u uint16) bool { return u != 0 }) {
			t.Error("the password is left in memory")
		}
	}
	if slices.ContainsFunc(person.enters, func(b byte) bool { return b != 0 }) {
		t.Error("what was entered is left in memory")
	}
}

// What is no password is none to Windows either, which would log an account without
// one on at its console, and read up to a NUL.
func TestWhatIsNoPassword(t *testing.T) {
	for what, enters := range map[string]string{
		"nothing": "", "cut short by NUL": "right\x00x", "no text": "right\xff", "half a surrogate pair": "right\xed\xa0\x80", "too long": strings.Repeat("x", maxPassword+1),
		"too long in pairs": strings.Repeat("𝄞", maxPassword/2+1),
	} {
		stand, person := &logonStand{user: anna}, &typist{enters: []byte(enters)}
		err := authenticate(t.Context(), stand, core.Account{User: anna}, person)
		if !errors.Is(err, port.ErrNotAuthentic) || len(stand.logged) > 0 {
			t.Errorf("%s: %v, and Windows was asked about %q", what, err, stand.logged)
		}
		wiped(t, stand, person)
	}
	for _, enters := range []string{strings.Repeat("x", maxPassword), strings.Repeat("𝄞", maxPassword/2)} {
		if err := authenticate(t.Context(), &logonStand{user: anna}, core.Account{User: anna}, &typist{enters: []byte(enters)}); err != nil {
			t.Errorf("%d bytes: %v", len(enters), err)
		}
	}
}

// What comes out, by what Windows says (learn.microsoft.com, "System Error Codes
// (1300-1699)", "(1700-3999)").
func TestOutcomesOfLogons(t *testing.T) {
	others := errors.New("another")
	for number, want := range map[syscall.Errno]error{
		86: port.ErrNotAuthentic, 1323: port.ErrNotAuthentic, 1326: port.ErrNotAuthentic, 1909: port.ErrNotAuthentic,
		1327: port.ErrAccountRefused, 1328: port.ErrAccountRefused, 1329: port.ErrAccountRefused, 1330: port.ErrAccountRefused, 1331: port.ErrAccountRefused,
		1385: port.ErrAccountRefused, 1793: port.ErrAccountRefused, 1907: port.ErrAccountRefused, 1935: port.ErrAccountRefused,
		1311: core.ErrNoAnswer, 1355: core.ErrNoAnswer, 1396: core.ErrNoAnswer, 1786: core.ErrNoAnswer, 1787: core.ErrNoAnswer, 1788: core.ErrNoAnswer,
		1789: core.ErrNoAnswer, 1790: core.ErrNoAnswer, 1792: core.ErrNoAnswer,
		5: others, 87: others, 1314: others, 1380: others,
	} {
		stand := &logonStand{says: fmt.Errorf("LogonUserW of anna: %w", number)}
		err := authenticate(t.Context(), stand, core.Account{User: anna}, &typist{enters: []byte("x")})
		if !errors.Is(err, number) {
			t.Errorf("%d: %v does not say what Windows has said", number, err)
		}
		for _, kind := range []error{port.ErrNotAuthentic, port.ErrAccountRefused, core.ErrNoAnswer} {
			if errors.Is(err, kind) != (kind == want) {
				t.Errorf("%d: %v, expected %v", number, err, want)
			}
		}
	}
}

// Attack: the account is renamed meanwhile, and another one has its name and its own
// password.
func TestAuthenticateComparesWhoWasLoggedOn(t *testing.T) {
	stand := &logonStand{user: "S-1-5-21-1-2-3-1002"}
	if err := authenticate(t.Context(), stand, core.Account{User: anna}, &typist{enters: []byte("x")}); !errors.Is(err, port.ErrNotAuthentic) {
		t.Errorf("%v, expected port.ErrNotAuthentic", err)
	}
}

func TestAuthenticateWhoDeclinesAndWhoIsNot(t *testing.T) {
	stand := &logonStand{user: anna}
	if err := authenticate(t.Context(), stand, core.Account{User: anna}, &typist{refuses: core.ErrCancelled}); !errors.Is(err, core.ErrCancelled) {
		t.Errorf("%v, expected core.ErrCancelled", err)
	}
	person := &typist{enters: []byte("x")}
	if err := authenticate(t.Context(), stand, core.Account{User: "S-1-5-18", Name: "anna"}, person); !errors.Is(err, core.ErrNoAccount) || person.asked > 0 {
		t.Errorf("%v, after %d questions", err, person.asked)
	}
	if len(stand.logged) > 0 {
		t.Errorf("Windows was asked about %q", stand.logged)
	}
	// The answer comes when nobody waits for it any more.
	ctx, cancel := context.WithCancel(t.Context())
	stand.done = cancel
	if err := authenticate(ctx, stand, core.Account{User: anna}, &typist{enters: []byte("x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, expected context.Canceled", err)
	}
}

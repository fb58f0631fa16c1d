//go:build windows

package windows

import (
	"errors"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// A logon is admitted to the desktop of a session for as long as its token is used, by
// a helper that ends then.
func TestTheDesktopOfASession(t *testing.T) {
	l := newLauncher(t)
	as := in(t, core.AsUser)
	made, err := l.tokenFor(t.Context(), as)
	must(t, err)
	if made.desktop != "" {
		t.Fatalf("without a desktop it has %s", made.desktop)
	}
	must(t, l.openDesktop(t.Context(), made, as.Session))
	if made.desktop != sessionDesktop || made.leave == nil {
		t.Errorf("desktop %q", made.desktop)
	}
	made.close()
	if err := l.openDesktop(t.Context(), made, "console"); !errors.Is(err, ErrNoDesktop) {
		t.Errorf("a session that is none, and a token that is closed: %v", err)
	}
}

// What a logon of our own is completed by: the profile, the variables, the session. That
// it is the account's is looked at.
func TestALogonOfOurOwn(t *testing.T) {
	as := in(t, core.AsUserElevated)
	user, err := Accounts{}.ByID(as.Account.User)
	must(t, err)
	as.Account = user
	everyday, err := sessionToken(as)
	must(t, err)
	defer everyday.Close()
	for _, who := range []core.UserID{user.User, stranger} {
		primary, err := primaryOf(everyday)
		must(t, err)
		as.Account.User = who
		made, err := completed(primary, as, user.Name)
		if who == stranger {
			if !errors.Is(err, core.ErrNoAccount) {
				t.Errorf("somebody else's: %v", err)
			}
			continue
		}
		must(t, err)
		if len(made.environ) == 0 || made.unload == nil || made.ends {
			t.Errorf("%+v", made)
		}
		made.close()
	}
	// Wine takes any password, and gives no token for it.
	if made, err := (accountsOfWindows{}).logOn(user.Name, newPassword()); !wine() && !errors.Is(err, windows.ERROR_LOGON_FAILURE) {
		t.Errorf("with a wrong password: %v, %v", made, err)
	}
	if _, err := (accountsOfWindows{}).logOn("nobody\x00", newPassword()); err == nil {
		t.Error("a name with NUL was logged on")
	}
}

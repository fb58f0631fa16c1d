//go:build windows

package windows

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// The numbers are those that Windows' own header has.
func TestNumbersOfLogons(t *testing.T) {
	for _, c := range []struct{ got, want []windows.Errno }{
		{errnos(notAuthentic), []windows.Errno{windows.ERROR_INVALID_PASSWORD, windows.ERROR_WRONG_PASSWORD, windows.ERROR_LOGON_FAILURE, windows.ERROR_ACCOUNT_LOCKED_OUT}},
		{errnos(accountRefused), []windows.Errno{
			windows.ERROR_ACCOUNT_RESTRICTION, windows.ERROR_INVALID_LOGON_HOURS, windows.ERROR_INVALID_WORKSTATION, windows.ERROR_PASSWORD_EXPIRED,
			windows.ERROR_ACCOUNT_DISABLED, windows.ERROR_LOGON_TYPE_NOT_GRANTED, windows.ERROR_ACCOUNT_EXPIRED, windows.ERROR_PASSWORD_MUST_CHANGE,
			windows.ERROR_AUTHENTICATION_FIREWALL_FAILED,
		}},
		{errnos(noAnswer), []windows.Errno{
			windows.ERROR_NO_LOGON_SERVERS, windows.ERROR_NO_SUCH_DOMAIN, windows.ERROR_WRONG_TARGET_NAME, windows.ERROR_NO_TRUST_LSA_SECRET,
			windows.ERROR_NO_TRUST_SAM_ACCOUNT, windows.ERROR_TRUSTED_DOMAIN_FAILURE, windows.ERROR_TRUSTED_RELATIONSHIP_FAILURE, windows.ERROR_TRUST_FAILURE,
			windows.ERROR_NETLOGON_NOT_STARTED,
		}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%d, expected %d", c.got, c.want)
		}
	}
}

func errnos(numbers []uint32) (list []windows.Errno) {
	for _, n := range numbers {
		list = append(list, windows.Errno(n))
	}
	return list
}

// Nobody is let in with a password that is not theirs. Wine takes any, and what it
// gives for one says nobody's name: that is refused as well.
func TestAuthenticatorRefuses(t *testing.T) {
	account := own().Account
	err := Authenticator{}.Authenticate(t.Context(), account, &typist{enters: []byte("not the password of anybody")})
	if err == nil || !wine() && !errors.Is(err, port.ErrNotAuthentic) {
		t.Errorf("%v, expected port.ErrNotAuthentic", err)
	}
	t.Log(err)
	for what, c := range map[string]struct {
		user core.UserID
		want error
	}{
		"a group": {administrators, core.ErrNoAccount}, "no SID": {"anna", core.ErrNoAccount}, "nobody's": {"S-1-5-21-1-2-3-4999", core.ErrNoAccount},
	} {
		person := &typist{enters: []byte("x")}
		if err := (Authenticator{}).Authenticate(t.Context(), core.Account{User: c.user, Name: account.Name}, person); !errors.Is(err, c.want) || person.asked > 0 {
			t.Errorf("%s: %v, after %d questions", what, err, person.asked)
		}
	}
}

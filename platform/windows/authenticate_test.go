//go:build windows

package windows

import (
	"context"
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

// Whoever knows the password is let in, as soon as the account may be used.
func TestAuthenticatorLetsIn(t *testing.T) {
	if wine() {
		t.Log("not shown here: LogonUserW takes any password, and accounts have none")
		return
	}
	accounts, number := TransientAccounts{}, uint32(ownNumbers+7) // what is left of it the next service removes
	account, err := accounts.Create(t.Context(), number, []string{"S-1-5-32-545"})
	must(t, err)
	defer func() { must(t, accounts.Remove(context.Background(), number)) }()
	const secret = "kpm-Täst 1 𝄞"
	wide, ok := wideSecret([]byte(secret))
	if !ok {
		t.Fatal("it is no password")
	}
	must(t, accountsOfWindows{}.setPassword(account.Name, wide))
	enter := func(text string) error {
		return Authenticator{}.Authenticate(t.Context(), account, &typist{enters: []byte(text)})
	}
	if err := enter(secret); !errors.Is(err, port.ErrAccountRefused) {
		t.Errorf("disabled: %v, expected port.ErrAccountRefused", err)
	}
	must(t, accountsOfWindows{}.setFlags(account.Name, accountFlags))
	must(t, enter(secret))
	for what, text := range map[string]string{"wrong": secret + "x", "in capitals": "KPM-TÄST 1 𝄞", "empty": ""} {
		if err := enter(text); !errors.Is(err, port.ErrNotAuthentic) {
			t.Errorf("%s: %v, expected port.ErrNotAuthentic", what, err)
		}
	}
}

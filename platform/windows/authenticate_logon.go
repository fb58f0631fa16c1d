package windows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"unicode/utf16"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/port"
)

// logons is what the system does with a password.
type logons interface {
	// name is what the account of a SID is called, and where.
	name(user core.UserID) (name, domain string, err error)
	// logOn logs an account on, forgets that at once, and returns whose it was.
	logOn(name, domain string, password []uint16) (core.UserID, error)
}

// maxPassword is the longest password that Windows takes (lmcons.h, PWLEN), in
// UTF-16 units.
const maxPassword = 256

// authenticate asks for an account's password once, and has the system look at it.
//
// Attack: somebody names another account than the one that asks, or the account was
// renamed and another has its name. The name is that of the SID, which the kernel has
// told, and whom the system has logged on is compared with it.
func authenticate(ctx context.Context, do logons, account core.Account, c port.Conversation) error {
	name, domain, err := do.name(account.User)
	if err != nil {
		return fmt.Errorf("authenticate %s: %w", account.User, err)
	}
	fail := func(err error) error { return fmt.Errorf("authenticate %s\\%s: %w", domain, name, err) }
	entered, err := c.Ask(ctx, "Password: ", true)
	if err != nil {
		return fail(err)
	}
	password, ok := wideSecret(entered)
	clear(entered)
	defer clear(password)
	if !ok {
		return fail(port.ErrNotAuthentic)
	}
	user, err := do.logOn(name, domain, password)
	switch {
	case err != nil:
		return fail(outcomeOf(err))
	case user != account.User:
		return fail(fmt.Errorf("Windows has logged on %s: %w", user, port.ErrNotAuthentic))
	case ctx.Err() != nil: // nobody waits for it any more
		return fail(ctx.Err())
	}
	return nil
}

// wideSecret is what was entered as Windows takes it, with an ending NUL. It refuses
// what is no password: a part would be looked at, or nothing.
//
// Attack: an account without a password, which Windows logs on at its console, lets
// in whoever presses Enter.
func wideSecret(entered []byte) ([]uint16, bool) {
	if len(entered) == 0 || len(entered) > maxPassword*utf8.UTFMax || !utf8.Valid(entered) || slices.Contains(entered, 0) {
		return nil, false
	}
	wide := make([]uint16, 0, len(entered)+1) // never longer: no copy is left behind
	for i := 0; i < len(entered); {
		r, size := utf8.DecodeRune(entered[i:])
		wide = utf16.AppendRune(wide, r)
		i += size
	}
	if len(wide) > maxPassword {
		clear(wide)
		return nil, false
	}
	return append(wide, 0), true
}

// What the system says of a logon that says something about the person or the account
// (learn.microsoft.com, "System Error Codes"); every other is the machine's, or the
// domain's.
var (
	notAuthentic = []uint32{
		86,   // ERROR_INVALID_PASSWORD
		1323, // ERROR_WRONG_PASSWORD
		1326, // ERROR_LOGON_FAILURE: the name or the password
		1909, // ERROR_ACCOUNT_LOCKED_OUT: it is not looked at
	}
	accountRefused = []uint32{
		1327, // ERROR_ACCOUNT_RESTRICTION: such as no password, or a policy
		1328, // ERROR_INVALID_LOGON_HOURS
		1329, // ERROR_INVALID_WORKSTATION
		1330, // ERROR_PASSWORD_EXPIRED
		1331, // ERROR_ACCOUNT_DISABLED
		1385, // ERROR_LOGON_TYPE_NOT_GRANTED: it may not log in at this machine
		1793, // ERROR_ACCOUNT_EXPIRED
		1907, // ERROR_PASSWORD_MUST_CHANGE
		1935, // ERROR_AUTHENTICATION_FIREWALL_FAILED: not at this machine, says the other domain
	}
	noAnswer = []uint32{
		1311, // ERROR_NO_LOGON_SERVERS
		1355, // ERROR_NO_SUCH_DOMAIN
		1396, // ERROR_WRONG_TARGET_NAME
		1786, // ERROR_NO_TRUST_LSA_SECRET
		1787, // ERROR_NO_TRUST_SAM_ACCOUNT
		1788, // ERROR_TRUSTED_DOMAIN_FAILURE
		1789, // ERROR_TRUSTED_RELATIONSHIP_FAILURE
		1790, // ERROR_TRUST_FAILURE
		1792, // ERROR_NETLOGON_NOT_STARTED
	}
)

// outcomeOf is the error of what the system says of a logon.
func outcomeOf(err error) error {
	var said syscall.Errno
	if !errors.As(err, &said) {
		return err
	}
	for _, kind := range []struct {
		numbers []uint32
		means   error
	}{{notAuthentic, port.ErrNotAuthentic}, {accountRefused, port.ErrAccountRefused}, {noAnswer, core.ErrNoAnswer}} {
		if slices.Contains(kind.numbers, uint32(said)) {
			return fmt.Errorf("%w: %w", err, kind.means)
		}
	}
	return err
}

//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"kpm/core"
)

// ErrNoSession is wrapped when the session to run in is gone, or is somebody
// else's by now. It is fs.ErrNotExist as well.
var ErrNoSession = fmt.Errorf("the session is not there any more; log in again: %w", fs.ErrNotExist)

// ErrNoElevation is wrapped when a session has no token that is the same user's
// with more rights, and there is no administrator's account for the command either
// (Launcher.UseAccounts). It is errors.ErrUnsupported as well.
var ErrNoElevation = fmt.Errorf("this session has no elevated token of the same user: %w", errors.ErrUnsupported)

// token is a user's in a session, as a program of the user's is created with it.
type token struct {
	primary windows.Token
	desktop string
	environ []string // the user's own
	// ends is true for an account that exists for this command: what that leaves
	// running ends with it.
	ends bool
	after
}

// after is what is done when nothing runs with a token any more, nil for nothing: who
// was logged on for it leaves the session's desktop, the profile is unloaded, and then
// the account that was made for it removed.
type after struct{ leave, unload, remove func() error }

func (a after) do() {
	if a.leave != nil {
		a.leave() // what fails is left to the end of the session
	}
	if a.unload != nil {
		a.unload() // Windows keeps what is still in use, and unloads it when that ends
	}
	if a.remove != nil {
		a.remove() // what fails is left for the next service (UseAccounts)
	}
}

// close closes the token. What comes after it is done too, unless a child has taken
// that over.
func (t *token) close() {
	if t == nil {
		return
	}
	t.primary.Close()
	t.do()
}

// elevated reports whether it has an administrator's rights.
func (t *token) elevated() bool { return t.primary.IsElevated() }

// sessionDesktop is the desktop of the session that a token is for.
const sessionDesktop = `winsta0\default`

// tokenFor returns the token that an identity means, nil for the service's own. Who was
// logged on for it is admitted to the desktop of the session. If that cannot be, the
// program has none, as where there is no session: one without windows needs none.
func (l *Launcher) tokenFor(ctx context.Context, as core.Identity) (*token, error) {
	t, err := l.tokenOf(ctx, as)
	if err == nil && t != nil && t.unload != nil && as.Session != "" {
		ctx, cancel := context.WithTimeout(ctx, accountTime)
		defer cancel()
		if deskErr := l.openDesktop(ctx, t, as.Session); deskErr != nil && ctx.Err() != nil {
			t.close()
			return nil, deskErr
		}
	}
	return t, err
}

func (l *Launcher) tokenOf(ctx context.Context, as core.Identity) (*token, error) {
	// What policy wants run as an account that is made for it.
	if _, is := transientNumber(as.Account.Name); is {
		return l.logOn(as.Account, as)
	}
	if as.RunAs == core.AsService {
		if as.Account.User != l.self {
			return loggedOn(as)
		}
		return nil, nil
	}
	as, err := asWhom(as)
	if err != nil {
		return nil, err
	}
	// Somebody else's account, for a command of the person whose session it is.
	if as.RunAs == core.AsUserElevated && as.Login != "" && as.Account.User != as.Login {
		return loggedOn(as)
	}
	if as.RunAs == core.AsUserElevated {
		return l.elevated(ctx, as)
	}
	primary, err := sessionToken(as)
	if err != nil {
		return nil, err
	}
	return inOwnSession(primary, as)
}

// sessionElevated returns the elevated token of the person whose session it is.
func sessionElevated(as core.Identity) (*token, error) {
	everyday, err := sessionToken(as)
	if err != nil {
		return nil, err
	}
	defer everyday.Close()
	primary, err := elevate(everyday, as.Account.User)
	if err != nil {
		return nil, err
	}
	return inOwnSession(primary, as)
}

// inOwnSession completes a token that comes from its own session, and closes it if
// that fails.
func inOwnSession(primary windows.Token, as core.Identity) (*token, error) {
	t := &token{primary: primary}
	if as.RunAs != core.AsUser {
		t.desktop = sessionDesktop
	}
	var err error
	// learn.microsoft.com, "CreateEnvironmentBlock". Attack: with inheritance, the
	// user's program has what is in LocalSystem's environment.
	if t.environ, err = primary.Environ(false); err != nil {
		t.close()
		return nil, fmt.Errorf("environment of %s: %w", as.Account.User, err)
	}
	return t, nil
}

// asWhom turns "as an administrator", which is what a request means that names no
// target, into the person who asks: there is no account of that name to become,
// and a program that needs its user's own files finds them.
func asWhom(as core.Identity) (core.Identity, error) {
	if as.Account.User != administrators {
		return as, nil
	}
	if as.RunAs != core.AsUserElevated || as.Login == "" {
		return as, fmt.Errorf("run as %s: it is a group, and nobody is known who asks: %w", as.Account.User, errors.ErrUnsupported)
	}
	as.Account.User = as.Login
	return as, nil
}

// sessionToken returns the primary token of whoever is logged in to a session
// (learn.microsoft.com, "WTSQueryUserToken"), who must be the account: sessions
// are numbered anew when they end.
func sessionToken(as core.Identity) (windows.Token, error) {
	if as.Session == "" {
		return 0, fmt.Errorf("run as %s: without one of the account's sessions there is no token: %w", as.Account.User, errors.ErrUnsupported)
	}
	number, err := strconv.ParseUint(string(as.Session), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("session %q is not a number: %w", as.Session, ErrNoSession)
	}
	var t windows.Token
	if err := windows.WTSQueryUserToken(uint32(number), &t); err != nil {
		if err == windows.ERROR_PRIVILEGE_NOT_HELD || err == windows.ERROR_ACCESS_DENIED {
			return 0, fmt.Errorf("token of session %d: %w", number, explain(err))
		}
		return 0, fmt.Errorf("token of session %d: %w: %w", number, err, ErrNoSession)
	}
	if user, err := tokenUser(t); err != nil || user != as.Account.User {
		t.Close()
		return 0, errors.Join(fmt.Errorf("session %d is %s's, expected %s: %w", number, user, as.Account.User, ErrNoSession), err)
	}
	return t, nil
}

// elevate returns the token with all of the user's rights that Windows keeps
// beside the one of everyday use.
//
// Attack: under Administrator Protection the linked token is another account's,
// with a profile of its own. What was approved for one user would run as another.
func elevate(everyday windows.Token, user core.UserID) (windows.Token, error) {
	if administratorProtection() {
		return 0, fmt.Errorf("administrator protection is on, which elevates as another account: %w", ErrNoElevation)
	}
	from := everyday
	if !everyday.IsElevated() {
		// learn.microsoft.com, "TOKEN_INFORMATION_CLASS", TokenLinkedToken: good for
		// a process only if we are LocalSystem.
		linked, err := everyday.GetLinkedToken()
		if err != nil {
			return 0, fmt.Errorf("linked token of %s: %w: %w", user, err, ErrNoElevation)
		}
		defer linked.Close()
		from = linked
	}
	if owner, err := tokenUser(from); err != nil || owner != user || !from.IsElevated() {
		return 0, errors.Join(fmt.Errorf("linked token of %s is %s's: %w", user, owner, ErrNoElevation), err)
	}
	primary, err := primaryOf(from)
	if err != nil {
		return 0, fmt.Errorf("elevated token of %s: %w", user, err)
	}
	return primary, nil
}

// primaryOf copies a token into one that processes can be created with
// (learn.microsoft.com, "DuplicateTokenEx").
func primaryOf(t windows.Token) (primary windows.Token, err error) {
	const access = windows.TOKEN_QUERY | windows.TOKEN_DUPLICATE | windows.TOKEN_ASSIGN_PRIMARY | windows.TOKEN_ADJUST_DEFAULT |
		windows.TOKEN_ADJUST_SESSIONID | windows.TOKEN_IMPERSONATE
	err = windows.DuplicateTokenEx(t, access, nil, windows.SecurityImpersonation, windows.TokenPrimary, &primary)
	return primary, err
}

// administratorProtection reports whether elevation means another account
// (learn.microsoft.com, "Administrator protection": TypeOfAdminApprovalMode).
func administratorProtection() bool {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System`, registry.QUERY_VALUE)
	if err != nil {
		return false
	}
	defer key.Close()
	mode, _, err := key.GetIntegerValue("TypeOfAdminApprovalMode")
	return err == nil && mode == 2
}

// tokenUser returns the SID of a token's user.
func tokenUser(t windows.Token) (core.UserID, error) {
	user, err := t.GetTokenUser()
	if err != nil {
		return "", fmt.Errorf("user of a token: %w", err)
	}
	return core.UserID(user.User.Sid.String()), nil
}

// isAdministrators reports whether a SID is one that only administrators can make
// the owner of an object.
func isAdministrators(sid *windows.SID) bool {
	return sid != nil && slices.Contains([]core.UserID{administrators, localSystem}, core.UserID(sid.String()))
}

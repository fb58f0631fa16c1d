//go:build windows

package windows

import (
	"context"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// Authenticator has Windows look at a password as it does at the console: an
// interactive logon (learn.microsoft.com, "LogonUserW"), whose token is thrown away.
// That is the kind which asks for the right to log on locally, looks at hours,
// expiry, workstations and whether the account is locked or disabled, counts wrong
// ones for the lock-out of the account, and goes by what is cached where the domain
// is not reached.
//
// A network logon asks for another right, which local accounts are often denied, and
// never goes by what is cached. One to unlock is of programs that Windows does not
// have any more, and would be in the security log as what did not happen.
type Authenticator struct{}

var _ port.Authenticator = Authenticator{}

// Authenticate implements port.Authenticator. Windows cannot be interrupted while it
// looks: a domain that does not answer keeps the caller waiting.
func (Authenticator) Authenticate(ctx context.Context, account core.Account, c port.Conversation) error {
	return authenticate(ctx, logonsOfWindows{}, account, c)
}

// logonsOfWindows implements logons.
type logonsOfWindows struct{}

// name asks anew (learn.microsoft.com, "LookupAccountSidW").
func (logonsOfWindows) name(user core.UserID) (string, string, error) {
	sid, err := windows.StringToSid(string(user))
	if err != nil {
		return "", "", fmt.Errorf("%w: it is no SID", core.ErrNoAccount)
	}
	name, domain, kind, err := sid.LookupAccount("")
	if err != nil {
		return "", "", lookupFault(err)
	}
	if kind != windows.SidTypeUser {
		return "", "", fmt.Errorf("%s is no user's: %w", name, core.ErrNoAccount)
	}
	return name, domain, nil
}

func (logonsOfWindows) logOn(name, domain string, password []uint16) (core.UserID, error) {
	made, err := logOnWith(name, domain, password)
	if err != nil {
		return "", err
	}
	defer made.Close()
	return tokenUser(made)
}

// Kind of logon, and who judges it (winbase.h): LOGON32_LOGON_INTERACTIVE,
// LOGON32_PROVIDER_DEFAULT.
const (
	logonInteractive = 2
	providerDefault  = 0
)

// logOnWith logs an account on by a password that ends in NUL. Of an administrator's
// the token is the everyday one.
func logOnWith(name, domain string, password []uint16) (windows.Token, error) {
	wideName, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	wideDomain, err := windows.UTF16PtrFromString(domain)
	if err != nil {
		return 0, err
	}
	var made windows.Token
	ok, _, err := windows.NewLazySystemDLL("advapi32.dll").NewProc("LogonUserW").Call(uintptr(unsafe.Pointer(wideName)), uintptr(unsafe.Pointer(wideDomain)),
		uintptr(unsafe.Pointer(&password[0])), logonInteractive, providerDefault, uintptr(unsafe.Pointer(&made)))
	runtime.KeepAlive(password)
	if ok == 0 {
		return 0, fmt.Errorf("LogonUserW of %s: %w", name, err)
	}
	return made, nil
}

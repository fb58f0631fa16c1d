//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// administratorAccounts makes accounts for one command each, as
// port.TransientAccounts does: disabled ones, whose password nobody knows.
type administratorAccounts interface {
	Create(ctx context.Context, number uint32, groups []string) (core.Account, error)
	Remove(ctx context.Context, number uint32) error
	Numbers() ([]uint32, error)
}

// accountTime bounds making or removing an account.
const accountTime = 30 * time.Second

// Flags of an account (lmaccess.h): UF_SCRIPT, UF_PASSWD_CANT_CHANGE,
// UF_NORMAL_ACCOUNT; and UF_ACCOUNTDISABLE.
const (
	accountFlags    = 0x1 | 0x40 | 0x200
	accountIsClosed = 0x2
)

// UseAccounts has elevations for which Windows has no token of the person's own run
// as an administrator's account that exists for that command alone. What an earlier
// service has left of them is removed.
func (l *Launcher) UseAccounts(ctx context.Context, accounts administratorAccounts) error {
	numbers, err := accounts.Numbers()
	if err != nil {
		return fmt.Errorf("launcher: accounts that were made for commands: %w", err)
	}
	for _, number := range numbers {
		if err := accounts.Remove(ctx, number); err != nil {
			return fmt.Errorf("launcher: accounts that were made for commands: %w", err)
		}
	}
	l.accounts, l.logOn = accounts, loggedOnOnce
	return nil
}

// elevated returns the token of an elevation: the person's own with all rights, or
// that of an account for this command.
//
// Attack: an account that is there for longer than the command, or that somebody
// can log in to. It is enabled for the moment of the one logon, its password was
// forgotten when it was made, and it goes with the command.
func (l *Launcher) elevated(ctx context.Context, as core.Identity) (*token, error) {
	t, err := sessionElevated(as)
	if l.accounts == nil || !errors.Is(err, ErrNoElevation) {
		return t, err
	}
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	number := rand.Uint32()
	remove := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), accountTime)
		defer cancel()
		return l.accounts.Remove(ctx, number)
	}
	account, err := l.accounts.Create(ctx, number, []string{string(administrators)})
	if err == nil {
		t, err = l.logOn(account, as)
	}
	if err != nil {
		return nil, fmt.Errorf("an administrator's account for this command: %w", errors.Join(err, remove()))
	}
	t.remove = remove
	return t, nil
}

// loggedOnOnce enables an account for as long as its logon takes.
func loggedOnOnce(account core.Account, as core.Identity) (*token, error) {
	if err := setAccountFlags(account.Name, accountFlags); err != nil {
		return nil, err
	}
	t, err := loggedOn(core.Identity{RunAs: core.AsUserElevated, Account: account, Login: as.Login, Session: as.Session})
	if closeErr := setAccountFlags(account.Name, accountFlags|accountIsClosed); closeErr != nil && err == nil {
		t.close()
		err = closeErr
	}
	if err == nil && !t.primary.IsElevated() {
		t.close()
		err = fmt.Errorf("%s: %w", account.Name, ErrNoElevation)
	}
	if err != nil {
		return nil, err
	}
	return t, nil
}

// setAccountFlags sets USER_INFO_1008 of an account of this machine
// (learn.microsoft.com, "NetUserSetInfo").
func setAccountFlags(name string, flags uint32) error {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	var wrong uint32
	proc := windows.NewLazySystemDLL("netapi32.dll").NewProc("NetUserSetInfo")
	status, _, _ := proc.Call(0, uintptr(unsafe.Pointer(wide)), 1008, uintptr(unsafe.Pointer(&flags)), uintptr(unsafe.Pointer(&wrong)))
	runtime.KeepAlive(wide)
	if status != 0 {
		return fmt.Errorf("NetUserSetInfo of %s: %w", name, windows.Errno(status))
	}
	return nil
}

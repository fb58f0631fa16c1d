//go:build windows

package windows

import (
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// accountCalls is what the system does with an account of this machine.
type accountCalls interface {
	setPassword(name string, password []uint16) error
	setFlags(name string, flags uint32) error
	logOn(name string, password []uint16) (windows.Token, error)
}

// Flags of an account (lmaccess.h): UF_SCRIPT, UF_PASSWD_CANT_CHANGE,
// UF_NORMAL_ACCOUNT; and UF_ACCOUNTDISABLE.
const (
	accountFlags    = 0x1 | 0x40 | 0x200
	accountIsClosed = 0x2
)

// loggedOnOnce logs an account on that was made for one command.
func loggedOnOnce(account core.Account, as core.Identity) (*token, error) {
	primary, err := logOnOnce(accountsOfWindows{}, account.Name)
	if err != nil {
		return nil, fmt.Errorf("run as %s: %w", account.Name, explain(err))
	}
	as.Account = account
	t, err := completed(primary, as, account.Name)
	if err != nil {
		return nil, err
	}
	t.ends = true
	return t, nil
}

// logOnOnce gives a disabled account a password, logs it on with that, and disables it
// again. The password is in this function's memory and nowhere else, and another one
// that nobody has seen takes its place.
//
// Attack: somebody logs in to the account meanwhile. It is enabled for this one call,
// nobody else has the password, and whatever fails it is disabled.
func logOnOnce(do accountCalls, name string) (made windows.Token, err error) {
	password := newPassword()
	defer clear(password)
	if err := do.setPassword(name, password); err != nil {
		return 0, err
	}
	if err = do.setFlags(name, accountFlags); err == nil {
		made, err = do.logOn(name, password)
	}
	next := newPassword()
	defer clear(next)
	if closing := errors.Join(do.setFlags(name, accountFlags|accountIsClosed), do.setPassword(name, next)); closing != nil {
		if made != 0 {
			made.Close()
		}
		return 0, errors.Join(err, closing)
	}
	return made, err
}

// newPassword is random, and what every policy of passwords wants; it ends in NUL.
func newPassword() []uint16 {
	password := make([]uint16, 0, 64)
	for _, r := range rand.Text() + rand.Text() + "aA1!\x00" {
		password = append(password, uint16(r))
	}
	return password
}

// accountsOfWindows implements accountCalls.
type accountsOfWindows struct{}

// setPassword sets USER_INFO_1003 (learn.microsoft.com, "NetUserSetInfo").
func (accountsOfWindows) setPassword(name string, password []uint16) error {
	info := &password[0]
	return setUserInfo(name, 1003, unsafe.Pointer(&info))
}

// setFlags sets USER_INFO_1008.
func (accountsOfWindows) setFlags(name string, flags uint32) error {
	return setUserInfo(name, 1008, unsafe.Pointer(&flags))
}

func setUserInfo(name string, level uintptr, info unsafe.Pointer) error {
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return err
	}
	var wrong uint32
	err = netapi("NetUserSetInfo", 0, uintptr(unsafe.Pointer(wide)), level, uintptr(info), uintptr(unsafe.Pointer(&wrong)))
	runtime.KeepAlive(info)
	if err != nil {
		return fmt.Errorf("NetUserSetInfo of %s, level %d: %w", name, level, err)
	}
	return nil
}

// logOn has the everyday token of an administrator made, as of anybody; a dot is this
// machine.
func (accountsOfWindows) logOn(name string, password []uint16) (windows.Token, error) {
	return logOnWith(name, ".", password)
}

//go:build windows

package windows

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// TransientAccounts makes local accounts by netapi32. They are disabled, and their
// password is random and forgotten at once: nobody can log in to them, this service
// included. What runs as one needs a token that takes no password.
type TransientAccounts struct{ Accounts Accounts }

var _ port.TransientAccounts = TransientAccounts{}

// What an account is (lmaccess.h).
const (
	privilegeUser    = 1     // USER_PRIV_USER
	accountScript    = 0x1   // UF_SCRIPT
	accountDisabled  = 0x2   // UF_ACCOUNTDISABLE
	passwordNoChange = 0x40  // UF_PASSWD_CANT_CHANGE
	normalAccount    = 0x200 // UF_NORMAL_ACCOUNT
	filterNormal     = 0x2   // FILTER_NORMAL_ACCOUNT
	moreData         = windows.ERROR_MORE_DATA
)

// userInfo is USER_INFO_1.
type userInfo struct {
	name, password *uint16
	passwordAge    uint32
	privilege      uint32
	home, comment  *uint16
	flags          uint32
	script         *uint16
}

// A Windows user name has at most 20 characters (LM20_UNLEN), which the published name
// nearly fills: the number is written in base 36.
const transientPrefix = "keeperusession-"

func transientName(number uint32) string {
	return transientPrefix + strconv.FormatUint(uint64(number%maxTransient), 36)
}

const maxTransient = 36 * 36 * 36 * 36 * 36

// transientNumber is the number in the name of a transient account.
func transientNumber(name string) (uint32, bool) {
	text, is := strings.CutPrefix(name, transientPrefix)
	number, err := strconv.ParseUint(text, 36, 32)
	return uint32(number), is && err == nil && transientName(uint32(number)) == name
}

// Create implements port.TransientAccounts (learn.microsoft.com, "NetUserAdd"). SIDs
// are given out once, so that no file of an earlier account is this one's.
func (t TransientAccounts) Create(ctx context.Context, number uint32, groups []string) (core.Account, error) {
	name := transientName(number)
	fail := func(err error) (core.Account, error) {
		return core.Account{}, fmt.Errorf("account %s: %w", name, err)
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return fail(err)
	}
	// Two, and what every policy of passwords wants.
	password := []uint16{}
	for _, r := range rand.Text() + rand.Text() + "aA1!" {
		password = append(password, uint16(r))
	}
	password = append(password, 0)
	defer clear(password)
	comment, err := windows.UTF16PtrFromString("KeeperPrivilegeManager, for one command")
	if err != nil {
		return fail(err)
	}
	info := userInfo{
		name: wide, password: &password[0], privilege: privilegeUser, comment: comment,
		flags: accountScript | accountDisabled | passwordNoChange | normalAccount,
	}
	var wrong uint32
	err = netapi("NetUserAdd", 0, 1, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&wrong)))
	runtime.KeepAlive(info)
	runtime.KeepAlive(password)
	if err != nil {
		return fail(err)
	}
	account, err := t.Accounts.ByName(name)
	if err != nil {
		return fail(err)
	}
	for _, group := range groups {
		if err := Membership(t).Set(ctx, group, account, true); err != nil {
			return fail(err)
		}
	}
	return account, nil
}

// Remove implements port.TransientAccounts (learn.microsoft.com, "NetUserDel",
// "DeleteProfileW"). The processes are those of its job, which has ended with the
// command.
func (t TransientAccounts) Remove(_ context.Context, number uint32) error {
	name := transientName(number)
	account, err := t.Accounts.ByName(name)
	if errors.Is(err, core.ErrNoAccount) {
		return nil
	}
	if err == nil && account.Home != "" {
		err = deleteProfile(string(account.User))
	}
	if err != nil {
		return fmt.Errorf("account %s: %w", name, err)
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err == nil {
		err = netapi("NetUserDel", 0, uintptr(unsafe.Pointer(wide)))
	}
	if err != nil && !errors.Is(err, userNotFound) {
		return fmt.Errorf("account %s: %w", name, err)
	}
	return nil
}

// deleteProfile removes a user's profile, with its folder and its registry.
func deleteProfile(sid string) error {
	wide, err := windows.UTF16PtrFromString(sid)
	if err != nil {
		return err
	}
	done, _, err := windows.NewLazySystemDLL("userenv.dll").NewProc("DeleteProfileW").Call(uintptr(unsafe.Pointer(wide)), 0, 0)
	runtime.KeepAlive(wide)
	if done == 0 && !errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return fmt.Errorf("profile: %w", err)
	}
	return nil
}

// Used implements port.TransientAccounts: nothing runs as an account that nobody can
// log in to.
func (TransientAccounts) Used(uint32) (bool, error) { return false, nil }

// Numbers implements port.TransientAccounts.
func (t TransientAccounts) Numbers() ([]uint32, error) {
	names, err := userNames()
	if err != nil {
		return nil, fmt.Errorf("transient accounts: %w", err)
	}
	var numbers []uint32
	for _, name := range names {
		if number, is := transientNumber(name); is {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

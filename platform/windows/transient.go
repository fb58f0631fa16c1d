//go:build windows

package windows

import (
	"context"
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
// password is random and forgotten at once: nobody can log in to them. The launcher
// logs one on by a password that is there for that one call (logOnOnce).
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
	password := newPassword()
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

// Used implements port.TransientAccounts (learn.microsoft.com, "EnumProcesses"). A
// process that LocalSystem may not look at is none of a person's.
func (t TransientAccounts) Used(number uint32) (bool, error) {
	account, err := t.Accounts.ByName(transientName(number))
	if errors.Is(err, core.ErrNoAccount) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("account %s: %w", transientName(number), err)
	}
	return runsAs(account.User)
}

// maxProcesses bounds how many processes are looked at; Windows has fewer.
const maxProcesses = 1 << 20

// runsAs reports whether a process is a user's.
func runsAs(user core.UserID) (bool, error) {
	pids := make([]uint32, 1024)
	for {
		var size uint32 // in bytes
		if err := windows.EnumProcesses(pids, &size); err != nil {
			return false, fmt.Errorf("processes of %s: %w", user, err)
		}
		if n := int(size / 4); n < len(pids) {
			pids = pids[:n]
			break
		}
		if len(pids) >= maxProcesses {
			return false, fmt.Errorf("processes of %s: there are more than %d", user, maxProcesses)
		}
		pids = make([]uint32, 2*len(pids))
	}
	for _, pid := range pids {
		process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, pid)
		if err != nil {
			continue
		}
		var of windows.Token
		err = windows.OpenProcessToken(process, windows.TOKEN_QUERY, &of)
		windows.CloseHandle(process)
		if err != nil {
			continue
		}
		runs, err := tokenUser(of)
		of.Close()
		if err == nil && runs == user {
			return true, nil
		}
	}
	return false, nil
}

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

//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// Membership reads and changes local groups by netapi32. Members are named by SID, so
// that neither a name nor a language can be mistaken for another.
type Membership struct{ Accounts Accounts }

var _ port.Membership = Membership{}

// Statuses of netapi32 (lmerr.h, winerror.h).
const (
	groupNotFound   = windows.Errno(2220) // NERR_GroupNotFound
	userNotFound    = windows.Errno(2221) // NERR_UserNotFound
	noSuchAlias     = windows.Errno(1376) // ERROR_NO_SUCH_ALIAS
	memberNotIn     = windows.Errno(1377) // ERROR_MEMBER_NOT_IN_ALIAS
	memberInAlready = windows.Errno(1378) // ERROR_MEMBER_IN_ALIAS
)

// netapi calls a function of netapi32 whose status is its result.
//
//go:uintptrescapes
func netapi(name string, arguments ...uintptr) error {
	result, _, _ := windows.NewLazySystemDLL("netapi32.dll").NewProc(name).Call(arguments...)
	if result != 0 {
		return windows.Errno(result)
	}
	return nil
}

// localGroup is what a group is called here: netapi32 takes names, which have another
// spelling in each language.
func localGroup(group string) (*uint16, error) {
	if strings.HasPrefix(group, "S-1-") {
		sid, err := windows.StringToSid(group)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", core.ErrNoGroup, err)
		}
		name, _, kind, err := sid.LookupAccount("")
		if err != nil || kind != windows.SidTypeAlias {
			return nil, fmt.Errorf("%w: %w", core.ErrNoGroup, errors.Join(err, fmt.Errorf("kind %d", kind)))
		}
		group = name
	}
	return windows.UTF16PtrFromString(group)
}

// Members implements port.Membership (learn.microsoft.com,
// "NetLocalGroupGetMembers"). Groups within it, such as Domain Admins, are left out:
// they are no people.
func (m Membership) Members(_ context.Context, group string) ([]port.Member, error) {
	name, err := localGroup(group)
	if err != nil {
		return nil, fmt.Errorf("members of %q: %w", group, err)
	}
	var buffer *byte
	var read, total uint32
	err = netapi("NetLocalGroupGetMembers", 0, uintptr(unsafe.Pointer(name)), 0, uintptr(unsafe.Pointer(&buffer)), maxPreferred,
		uintptr(unsafe.Pointer(&read)), uintptr(unsafe.Pointer(&total)), 0)
	runtime.KeepAlive(name)
	switch {
	case errors.Is(err, groupNotFound) || errors.Is(err, noSuchAlias):
		return nil, fmt.Errorf("group %q: %w", group, core.ErrNoGroup)
	case err != nil:
		return nil, fmt.Errorf("members of %q: %w", group, err)
	case buffer == nil:
		return nil, nil
	}
	defer windows.NetApiBufferFree(buffer)
	if read < total {
		return nil, fmt.Errorf("members of %q: %d of %d", group, read, total)
	}
	var list []port.Member
	// LOCALGROUP_MEMBERS_INFO_0 is a pointer to a SID.
	for _, sid := range unsafe.Slice((**windows.SID)(unsafe.Pointer(buffer)), read) {
		account, err := m.Accounts.ByID(core.UserID(sid.String()))
		switch {
		case errors.Is(err, core.ErrNoAccount): // a group, or somebody who is gone
		case err != nil:
			return nil, fmt.Errorf("members of %q: %w", group, err)
		default:
			list = append(list, port.Member{Account: account})
		}
	}
	return list, nil
}

// Set implements port.Membership (learn.microsoft.com, "NetLocalGroupAddMembers",
// "NetLocalGroupDelMembers"; level 0 takes SIDs).
func (m Membership) Set(_ context.Context, group string, account core.Account, member bool) error {
	name, err := localGroup(group)
	if err != nil {
		return fmt.Errorf("group %q: %w", group, err)
	}
	sid, err := windows.StringToSid(string(account.User))
	if err != nil {
		return fmt.Errorf("group %q: user %s: %w", group, account.User, err)
	}
	call, done := "NetLocalGroupDelMembers", memberNotIn
	if member {
		call, done = "NetLocalGroupAddMembers", memberInAlready
	}
	err = netapi(call, 0, uintptr(unsafe.Pointer(name)), 0, uintptr(unsafe.Pointer(&sid)), 1)
	runtime.KeepAlive(name)
	runtime.KeepAlive(sid)
	switch {
	case err == nil || errors.Is(err, done):
		return nil
	case errors.Is(err, groupNotFound) || errors.Is(err, noSuchAlias):
		return fmt.Errorf("group %q: %w", group, core.ErrNoGroup)
	}
	return fmt.Errorf("group %q: user %s: %w", group, account.User, err)
}

// Spare implements port.Membership: LocalSystem logs in nowhere.
func (Membership) Spare() (bool, error) { return false, nil }

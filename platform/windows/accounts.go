//go:build windows

package windows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"kpm/core"
	"kpm/core/port"
)

// Accounts looks accounts and groups up in the machine's own database and, for
// those of a domain, in its domain's.
type Accounts struct{}

var _ port.Accounts = Accounts{}

// ByID implements port.Accounts (learn.microsoft.com, "LookupAccountSidW").
func (a Accounts) ByID(id core.UserID) (core.Account, error) {
	sid, err := windows.StringToSid(string(id))
	if err != nil {
		return core.Account{}, fmt.Errorf("account %q: %w: it is no SID, such as S-1-5-21-1-2-3-1001", id, core.ErrNoAccount)
	}
	name, domain, kind, err := sid.LookupAccount("")
	if err != nil {
		return core.Account{}, fmt.Errorf("account %s: %w", id, lookupFault(err))
	}
	return account(sid, name, domain, kind)
}

// ByName implements port.Accounts (learn.microsoft.com, "LookupAccountNameW").
// DOMAIN\name and name@domain are understood; a name alone is looked for on this
// machine first.
func (a Accounts) ByName(name string) (core.Account, error) {
	if id, isID := strings.CutPrefix(name, "#"); isID {
		return a.ByID(core.UserID(id))
	}
	if name == "" {
		return core.Account{}, fmt.Errorf("account %q: %w", name, core.ErrNoAccount)
	}
	sid, domain, kind, err := windows.LookupSID("", name)
	if err != nil {
		return core.Account{}, fmt.Errorf("account %q: %w", name, lookupFault(err))
	}
	// What the account is called, and not what was typed.
	if found, in, _, err := sid.LookupAccount(""); err == nil {
		name, domain = found, in
	}
	return account(sid, name, domain, kind)
}

// lookupFault tells that there is none from that nobody answers.
func lookupFault(err error) error {
	switch err {
	case windows.ERROR_NONE_MAPPED, windows.ERROR_INVALID_ACCOUNT_NAME, windows.ERROR_INVALID_SID:
		return fmt.Errorf("%w: %w", err, core.ErrNoAccount)
	}
	return fmt.Errorf("%w: %w", err, core.ErrNoAnswer) // a domain that cannot be reached
}

// account is what a process can run as: a user, or administrators, whom a request
// means that names nobody.
func account(sid *windows.SID, name, domain string, kind uint32) (core.Account, error) {
	id := core.UserID(sid.String())
	switch {
	case id == administrators:
		return core.Account{User: id, Name: name, Group: string(id), Groups: []string{string(id)}}, nil
	case kind != windows.SidTypeUser && id != localSystem:
		return core.Account{}, fmt.Errorf("account %s: it is no user's: %w", name, core.ErrNoAccount)
	}
	a := core.Account{User: id, Name: name, Home: home(id)}
	if domain != "" {
		a.OtherNames = []string{domain + `\` + name}
	}
	groups, err := localGroups(domain, name)
	if err != nil {
		a.GroupsUnknown = true
	}
	a.Groups = groups
	if primary := primaryGroup(sid); primary != "" && !slices.Contains(a.Groups, primary) {
		a.Groups = append(a.Groups, primary)
	}
	// Everybody who is logged in is in these, and no database says so.
	for _, everybody := range []string{"S-1-1-0", "S-1-5-11"} {
		if !slices.Contains(a.Groups, everybody) {
			a.Groups = append(a.Groups, everybody)
		}
	}
	a.Group = a.Groups[0]
	return a, nil
}

// home is the folder of a user's profile, empty if there is none yet
// (learn.microsoft.com, "User Profiles": ProfileList). administrators alone can
// write there.
func home(id core.UserID) string {
	key, err := registry.OpenKey(registry.LOCAL_MACHINE, profileList+`\`+string(id), registry.QUERY_VALUE)
	if err != nil {
		return ""
	}
	defer key.Close()
	path, _, err := key.GetStringValue("ProfileImagePath")
	if err != nil {
		return ""
	}
	// %SystemDrive%: variables of the machine, not of a user.
	if expanded, err := registry.ExpandString(path); err == nil {
		return expanded
	}
	return path
}

// primaryGroup is the group None or Domain Users: the user's SID with the number
// 513 ([MS-DTYP], section 2.4.2.4).
func primaryGroup(sid *windows.SID) string {
	text := sid.String()
	if !strings.HasPrefix(text, "S-1-5-21-") {
		return ""
	}
	return text[:strings.LastIndexByte(text, '-')+1] + "513"
}

// includeIndirect has NetUserGetLocalGroups also name groups that a user is in by
// being in another (lmaccess.h, LG_INCLUDE_INDIRECT).
const includeIndirect = 1

// maxPreferred is MAX_PREFERRED_LENGTH: all of it.
const maxPreferred = 0xffffffff

// localGroups returns the SIDs of the local groups of a user, those included that
// a group of the user's is a member of (learn.microsoft.com,
// "NetUserGetLocalGroups").
func localGroups(domain, name string) ([]string, error) {
	if domain != "" {
		name = domain + `\` + name
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	var buffer *byte
	var read, total uint32
	proc := windows.NewLazySystemDLL("netapi32.dll").NewProc("NetUserGetLocalGroups")
	result, _, _ := proc.Call(0, uintptr(unsafe.Pointer(wide)), 0, includeIndirect, uintptr(unsafe.Pointer(&buffer)), maxPreferred,
		uintptr(unsafe.Pointer(&read)), uintptr(unsafe.Pointer(&total)))
	if result != 0 {
		return nil, fmt.Errorf("groups of %s: %w", name, windows.Errno(result))
	}
	if buffer == nil {
		return nil, nil
	}
	defer windows.NetApiBufferFree(buffer)
	if read < total {
		return nil, fmt.Errorf("groups of %s: %d of %d", name, read, total)
	}
	var groups []string
	// LOCALGROUP_USERS_INFO_0 is a pointer to a name.
	for _, group := range unsafe.Slice((**uint16)(unsafe.Pointer(buffer)), read) {
		sid, _, _, err := windows.LookupSID("", windows.UTF16PtrToString(group))
		if err != nil {
			return groups, fmt.Errorf("group %s: %w", windows.UTF16PtrToString(group), err)
		}
		groups = append(groups, sid.String())
	}
	return groups, nil
}

// GroupNames implements port.Accounts. A group is called NAME, and DOMAIN\NAME.
func (Accounts) GroupNames(ids []string) (map[string][]string, error) {
	names := map[string][]string{}
	var missing error
	for _, id := range ids {
		sid, err := windows.StringToSid(id)
		if err != nil {
			continue
		}
		name, domain, _, err := sid.LookupAccount("")
		if err != nil {
			if fault := lookupFault(err); errors.Is(fault, core.ErrNoAnswer) {
				missing = fmt.Errorf("group %s: %w", id, fault)
			}
			continue
		}
		names[id] = []string{name}
		if domain != "" {
			names[id] = append(names[id], domain+`\`+name)
		}
	}
	return names, missing
}

// Share implements port.Accounts: everybody who can ask has an account.
func (Accounts) Share(id core.UserID) core.UserID { return id }

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool {
	h, err := holderOf(windows.GetCurrentProcessToken())
	return err != nil || h.administrator || oneUser
}

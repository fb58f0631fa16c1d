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
)

// profileList is where Windows has whose profiles there are.
const profileList = `SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`

// People implements port.AccessLists: accounts of this machine, and those of domains
// that have a profile here, which is who has logged in. Windows' own administrator is
// left out, and who exists for one command.
func (l AccessLists) People() (people []core.Account, err error) {
	names, err := userNames()
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	add := func(account core.Account, err error) error {
		_, transient := transientNumber(account.Name)
		switch {
		case errors.Is(err, core.ErrNoAccount): // it has just gone
		case err != nil:
			return fmt.Errorf("accounts: %w", err)
		case !isPerson(account.User) || transient:
		case !slices.ContainsFunc(people, func(a core.Account) bool { return a.User == account.User }):
			people = append(people, account)
		}
		return nil
	}
	for _, name := range names {
		if err := add(l.Accounts.ByName(name)); err != nil {
			return nil, err
		}
	}
	profiles, err := registry.OpenKey(registry.LOCAL_MACHINE, profileList, registry.ENUMERATE_SUB_KEYS)
	if err != nil {
		return nil, fmt.Errorf("accounts: profiles: %w", err)
	}
	defer profiles.Close()
	sids, err := profiles.ReadSubKeyNames(-1)
	if err != nil {
		return nil, fmt.Errorf("accounts: profiles: %w", err)
	}
	for _, sid := range sids {
		if !isPerson(core.UserID(sid)) {
			continue
		}
		account, err := l.Accounts.ByID(core.UserID(sid))
		if errors.Is(err, core.ErrNoAnswer) { // away from its domain: the SID is all that an entry takes
			account, err = core.Account{User: core.UserID(sid), Name: sid, GroupsUnknown: true}, nil
		}
		if err := add(account, err); err != nil {
			return nil, err
		}
	}
	return people, nil
}

// isPerson reports whether a SID is one of people's accounts, of a machine, a domain
// (S-1-5-21) or Entra ID (S-1-12-1): [MS-DTYP], section 2.4.2.4. That which ends in 500
// is Windows' own administrator.
func isPerson(user core.UserID) bool {
	text := string(user)
	return (strings.HasPrefix(text, "S-1-5-21-") || strings.HasPrefix(text, "S-1-12-1-")) && !strings.HasSuffix(text, "-500")
}

// userNames are those of the accounts of this machine (learn.microsoft.com,
// "NetUserEnum").
func userNames() (names []string, err error) {
	var resume uint32
	for {
		var buffer *byte
		var read, total uint32
		err := netapi("NetUserEnum", 0, 0, filterNormal, uintptr(unsafe.Pointer(&buffer)), maxPreferred,
			uintptr(unsafe.Pointer(&read)), uintptr(unsafe.Pointer(&total)), uintptr(unsafe.Pointer(&resume)))
		if buffer != nil {
			// USER_INFO_0 is a pointer to a name.
			for _, name := range unsafe.Slice((**uint16)(unsafe.Pointer(buffer)), read) {
				names = append(names, windows.UTF16PtrToString(name))
			}
			windows.NetApiBufferFree(buffer)
		}
		if !errors.Is(err, moreData) {
			return names, err
		}
	}
}

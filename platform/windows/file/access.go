//go:build windows

package file

import (
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Access rights of files and directories that x/sys lacks (learn.microsoft.com,
// "File Access Rights Constants"). The first two are FILE_ADD_FILE and
// FILE_ADD_SUBDIRECTORY of a directory.
const (
	writeData       = 0x2
	appendData      = 0x4
	writeEA         = 0x10
	execute         = 0x20
	deleteChild     = 0x40
	writeAttributes = 0x100 // enough to make a directory a junction
)

const (
	// steers is what is enough to remove a directory, to put another one in its
	// place, or to give oneself more rights. Who may only make new files and
	// folders in it (people may, in C:\) touches nothing that is there.
	steers = deleteChild | windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | writeEA | writeAttributes |
		windows.GENERIC_ALL | windows.MAXIMUM_ALLOWED
	// changes is what is enough to change a file, or what lies in a directory: a
	// program loads libraries from its own.
	changes = steers | writeData | appendData | windows.GENERIC_WRITE
	// reads is what is enough to see what is in a file.
	reads = windows.FILE_READ_DATA | windows.GENERIC_READ | windows.GENERIC_ALL | windows.GENERIC_EXECUTE
)

// entry is one of a list of access rights.
type entry struct {
	allow     bool
	inherited bool // it is about what will be made in the directory alone
	mask      windows.ACCESS_MASK
	sid       *windows.SID
}

// errList is wrapped for a list that cannot be judged.
var errList = errors.New("its list of access rights cannot be read")

// maxACE is the largest type of entry that there is, and those with the layout of
// the first ([MS-DTYP], section 2.4.4.1).
const (
	aceAllowed, aceDenied                 = 0, 1
	aceAllowedCallback, aceDeniedCallback = 9, 10
	aceInheritOnly                        = 0x8
)

// rights returns who owns what is behind a handle, and who may do what with it
// (learn.microsoft.com, "GetSecurityInfo", "GetAce").
func rights(handle windows.Handle) (owner *windows.SID, entries []entry, err error) {
	descriptor, err := windows.GetSecurityInfo(handle, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errList, err)
	}
	if owner, _, err = descriptor.Owner(); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", errList, err)
	}
	list, _, err := descriptor.DACL()
	if err != nil || list == nil { // without one, everybody may do everything
		return owner, nil, errors.Join(fmt.Errorf("%w: it has none", errList), err)
	}
	for i := range uint32(list.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(list, i, &ace); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errList, err)
		}
		e := entry{inherited: ace.Header.AceFlags&aceInheritOnly != 0, mask: ace.Mask}
		switch ace.Header.AceType {
		case aceAllowed, aceAllowedCallback:
			e.allow = true
		case aceDenied, aceDeniedCallback:
		default: // what files do not have
			return nil, nil, fmt.Errorf("%w: an entry is of type %d", errList, ace.Header.AceType)
		}
		e.sid = (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		if e.sid, err = e.sid.Copy(); err != nil {
			return nil, nil, fmt.Errorf("%w: %w", errList, err)
		}
		entries = append(entries, e)
	}
	return owner, entries, nil
}

// forbid returns an error if somebody else than administrators owns what is
// behind a handle, or has one of the rights in mask. It wraps
// core.ErrNotProtected and says what to do.
//
// A right that another entry denies counts as granted: whoever is denied it may
// be a member of one group and not of another.
func forbid(handle windows.Handle, path string, mask windows.ACCESS_MASK) error {
	owner, entries, err := rights(handle)
	if err != nil {
		return Unprotected(path, err.Error())
	}
	if !trusted(owner) {
		return Unprotected(path, fmt.Sprintf(`belongs to %s, expected administrators; run icacls "%s" /setowner *S-1-5-32-544`, name(owner), path))
	}
	for _, e := range entries {
		if e.allow && !e.inherited && e.mask&mask != 0 && !trusted(e.sid) && e.sid.String() != ownerRights {
			return Unprotected(path, fmt.Sprintf(`can be changed by %s (rights 0x%x); take them away with icacls "%s" /inheritance:d /remove:g *%s, or move it`,
				name(e.sid), e.mask&mask, path, e.sid))
		}
	}
	return nil
}

// name is what people call whoever a SID is.
func name(sid *windows.SID) string {
	if sid == nil {
		return "nobody"
	}
	account, domain, _, err := sid.LookupAccount("")
	if err != nil {
		return sid.String()
	}
	if domain == "" {
		return account
	}
	return domain + `\` + account
}

// Grants reports whether the list of what is behind a handle lets somebody
// execute it who is in all of these groups, as the system goes through it: the
// first entry that says something counts.
func Grants(handle windows.Handle, sids []string) (bool, error) {
	_, entries, err := rights(handle)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if !e.inherited && e.mask&(execute|windows.GENERIC_EXECUTE|windows.GENERIC_ALL) != 0 && slices.Contains(sids, e.sid.String()) {
			return e.allow, nil
		}
	}
	return false, nil
}

// Owner returns who owns what is behind a handle, which was opened with
// READ_CONTROL.
func Owner(handle windows.Handle) (core.UserID, error) {
	owner, _, err := rights(handle)
	if err != nil && owner == nil {
		return "", err
	}
	return core.UserID(owner.String()), nil
}

// Unprotected returns a core.ErrNotProtected that says what is wrong with path.
func Unprotected(path, fault string) error {
	return core.Worded(core.ErrNotProtected, fmt.Sprintf("files: %s %s", path, fault))
}

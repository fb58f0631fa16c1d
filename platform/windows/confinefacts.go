//go:build windows

package windows

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// confinedFactsOf asks the system about a confined process: its token, its first
// thread, its job. What a system does not know of it cannot say either
// (ERROR_INVALID_FUNCTION): that fact is then missing.
func confinedFactsOf(t windows.Token, thread, job windows.Handle) (f confinedFacts, err error) {
	if err := f.ofToken(t); err != nil {
		return f, err
	}
	// learn.microsoft.com, "OpenThreadToken"
	var impersonated windows.Token
	switch err := windows.OpenThreadToken(thread, windows.TOKEN_QUERY, true, &impersonated); err {
	case windows.ERROR_NO_TOKEN:
	case nil:
		impersonated.Close()
		f.impersonates = true
	default:
		return f, fmt.Errorf("token of its first thread: %w", err)
	}
	return f, f.ofJob(job)
}

// ofToken reads a token (learn.microsoft.com, "TOKEN_INFORMATION_CLASS").
func (f *confinedFacts) ofToken(t windows.Token) error {
	user, err := t.GetTokenUser()
	if err != nil {
		return fmt.Errorf("user of its token: %w", err)
	}
	groups, err := t.GetTokenGroups()
	if err != nil {
		return fmt.Errorf("groups of its token: %w", err)
	}
	for _, g := range append(groups.AllGroups(), user.User) {
		if g.Attributes&(windows.SE_GROUP_USE_FOR_DENY_ONLY|windows.SE_GROUP_INTEGRITY) == 0 {
			f.granting = append(f.granting, g.Sid.String())
		}
	}
	if err := f.ofLists(t); err != nil {
		return err
	}
	f.integrity, err = integrity(t)
	return err
}

// ofLists reads what has no fixed size: restricting SIDs and privileges.
func (f *confinedFacts) ofLists(t windows.Token) error {
	buffer := make([]uint64, 2048) // TOKEN_GROUPS is aligned to 8 bytes
	at, size := unsafe.Pointer(&buffer[0]), uintptr(8*len(buffer))
	if err := tokenInfo(t, windows.TokenRestrictedSids, at, size); err != nil && err != windows.ERROR_INVALID_FUNCTION {
		return fmt.Errorf("restricting SIDs of its token: %w", err)
	}
	for _, g := range (*windows.Tokengroups)(at).AllGroups() {
		f.restrictedTo = append(f.restrictedTo, g.Sid.String())
	}
	if err := tokenInfo(t, windows.TokenPrivileges, at, size); err != nil {
		return fmt.Errorf("privileges of its token: %w", err)
	}
	for _, p := range (*windows.Tokenprivileges)(at).AllPrivileges() {
		f.privileges = append(f.privileges, privilegeName(p.Luid))
	}
	return nil
}

// privilegeName is what a privilege is called (learn.microsoft.com,
// "LookupPrivilegeNameW").
func privilegeName(luid windows.LUID) string {
	var name [64]uint16
	n := uint32(len(name))
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc("LookupPrivilegeNameW")
	if ok, _, _ := proc.Call(0, uintptr(unsafe.Pointer(&luid)), uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&n))); ok == 0 {
		return fmt.Sprintf("number %d", luid.LowPart)
	}
	return windows.UTF16ToString(name[:])
}

// ofJob reads the bounds of a job (learn.microsoft.com,
// "QueryInformationJobObject").
func (f *confinedFacts) ofJob(job windows.Handle) error {
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	if err := windows.QueryInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)), nil); err != nil && err != windows.ERROR_INVALID_FUNCTION {
		return fmt.Errorf("limits of its job: %w", err)
	}
	basic := limits.BasicLimitInformation
	f.jobLimits, f.jobProcesses, f.jobTime = basic.LimitFlags, basic.ActiveProcessLimit, basic.PerProcessUserTimeLimit
	f.jobMemory = uint64(limits.ProcessMemoryLimit)
	return nil
}

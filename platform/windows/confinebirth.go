//go:build windows

package windows

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/platform/windows/confined"
	"kpm/platform/windows/held"
)

// A confined process has a restricted token from its first instruction: every SID
// in it can only deny, and whatever is opened must be granted to "nobody" besides,
// whom no access list names. With such a token a program cannot load itself. So its
// first thread begins with another, which is taken from it before it is handed
// anything. Threads that it makes have the process's.
//
// The bits of CreateRestrictedToken (learn.microsoft.com) that x/sys lacks.
const disableMaxPrivilege = 0x1

// nobody is the SID that stands for no one ([MS-DTYP], section 2.4.2.4, NULL).
const nobody = "S-1-0-0"

// Levels of integrity ([MS-DTYP], section 2.4.2.4): what has the lowest can write
// to nothing that was not made for it.
const (
	lowIntegrity       = "S-1-16-4096"
	untrustedIntegrity = "S-1-16-0"
)

// Mitigations of a process (learn.microsoft.com, "UpdateProcThreadAttribute",
// PROC_THREAD_ATTRIBUTE_MITIGATION_POLICY): no graphics part of the kernel, no
// libraries that others have put in everybody's way, no code but what was loaded
// from the disk, and that neither from the network nor from where sandboxes may
// write.
const mitigations = 1<<28 | // WIN32K_SYSTEM_CALL_DISABLE
	1<<32 | // EXTENSION_POINT_DISABLE
	1<<36 | // PROHIBIT_DYNAMIC_CODE
	1<<52 | // IMAGE_LOAD_NO_REMOTE
	1<<56 | // IMAGE_LOAD_NO_LOW_LABEL
	1<<60 // IMAGE_LOAD_PREFER_SYSTEM32

// create creates the process, and lets it load itself.
func (p *confinedProcess) create(program string, theirs windows.Handle) error {
	lasting, first, err := confinedTokens()
	if err != nil {
		return err
	}
	defer lasting.Close()
	defer first.Close()
	if p.job, err = boundedJob(); err != nil {
		return err
	}
	made, err := held.Start{
		Token: lasting, Job: p.job, Flags: windows.DETACHED_PROCESS, Security: held.Administrators,
		Mitigations: mitigations, Childless: true,
		Application: program, CommandLine: confined.Name, Dir: systemDirectory(), Env: confined.Environ(filepath.Dir(systemDirectory())),
		Streams: [3]windows.Handle{theirs, 0, 0},
	}.Create()
	if err != nil {
		return explain(err)
	}
	p.process, p.thread = made.Process, made.Thread
	p.id = core.ProcessID{PID: int(made.ProcessId)}
	if p.id.Start, err = startStamp(made.Process); err != nil {
		return err
	}
	if in, err := inJob(made.Process, p.job); err != nil || !in {
		return errors.Join(errors.New("it is not in its job"), err)
	}
	// learn.microsoft.com, "SetThreadToken"
	if err := windows.SetThreadToken(&p.thread, first); err != nil {
		return fmt.Errorf("let it load itself: %w", err)
	}
	if _, err := windows.ResumeThread(p.thread); err != nil {
		return fmt.Errorf("resume it: %w", err)
	}
	return nil
}

// confine takes from the process what it began with, and has the system say what
// is left.
func (p *confinedProcess) confine() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return os.ErrProcessDone
	}
	if err := windows.SetThreadToken(&p.thread, 0); err != nil {
		return fmt.Errorf("take the first token from it: %w", err)
	}
	var t windows.Token
	if err := windows.OpenProcessToken(p.process, windows.TOKEN_QUERY|windows.TOKEN_ADJUST_DEFAULT, &t); err != nil {
		return fmt.Errorf("open its token: %w", err)
	}
	defer t.Close()
	if err := setIntegrity(t, untrustedIntegrity); err != nil {
		return err
	}
	facts, err := confinedFactsOf(t, p.thread, p.job)
	if err != nil {
		return err
	}
	windows.CloseHandle(p.thread)
	p.thread = 0
	return seen(facts).fault()
}

// confinedTokens returns the token of a confined process, and that of its first
// thread for as long as it loads itself, which has the access of this service and
// none of its privileges.
func confinedTokens() (lasting, first windows.Token, err error) {
	var own windows.Token
	const access = windows.TOKEN_QUERY | windows.TOKEN_DUPLICATE | windows.TOKEN_ASSIGN_PRIMARY | windows.TOKEN_ADJUST_DEFAULT
	if err := windows.OpenProcessToken(windows.CurrentProcess(), access, &own); err != nil {
		return 0, 0, fmt.Errorf("own token: %w", err)
	}
	defer own.Close()
	everyone, err := sidsOf(own)
	if err != nil {
		return 0, 0, err
	}
	none, err := windows.StringToSid(nobody)
	if err != nil {
		return 0, 0, err
	}
	if lasting, err = restricted(own, everyone, []windows.SIDAndAttributes{{Sid: none}}); err != nil {
		return 0, 0, err
	}
	// A thread may impersonate no one who is freer than its process: restricted, to
	// all that the token has anyway.
	primary, err := restricted(own, nil, everyone)
	if err == nil {
		defer primary.Close()
		// learn.microsoft.com, "DuplicateTokenEx"
		err = windows.DuplicateTokenEx(primary, windows.TOKEN_QUERY|windows.TOKEN_IMPERSONATE, nil, windows.SecurityImpersonation, windows.TokenImpersonation, &first)
	}
	if err != nil {
		lasting.Close()
		return 0, 0, fmt.Errorf("token to load itself with: %w", err)
	}
	return lasting, first, nil
}

// sidsOf are the user and the groups of a token, without attributes.
func sidsOf(t windows.Token) ([]windows.SIDAndAttributes, error) {
	user, err := t.GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("user of a token: %w", err)
	}
	groups, err := t.GetTokenGroups()
	if err != nil {
		return nil, fmt.Errorf("groups of a token: %w", err)
	}
	sids := []windows.SIDAndAttributes{{Sid: user.User.Sid}}
	for _, g := range groups.AllGroups() {
		if g.Attributes&windows.SE_GROUP_INTEGRITY == 0 {
			sids = append(sids, windows.SIDAndAttributes{Sid: g.Sid})
		}
	}
	return sids, nil
}

// restricted returns a primary token like t, without its privileges and of low
// integrity, in which some SIDs only deny, and whose access must be granted to
// others besides (learn.microsoft.com, "CreateRestrictedToken").
func restricted(t windows.Token, deny, to []windows.SIDAndAttributes) (windows.Token, error) {
	list := func(sids []windows.SIDAndAttributes) (n, at uintptr) {
		if len(sids) == 0 {
			return 0, 0
		}
		return uintptr(len(sids)), uintptr(unsafe.Pointer(&sids[0]))
	}
	denied, denyAt := list(deny)
	only, onlyAt := list(to)
	var made windows.Token
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc("CreateRestrictedToken")
	ok, _, err := proc.Call(uintptr(t), disableMaxPrivilege, denied, denyAt, 0, 0, only, onlyAt, uintptr(unsafe.Pointer(&made)))
	if ok == 0 {
		return 0, fmt.Errorf("restrict a token: %w", err)
	}
	if err := setIntegrity(made, lowIntegrity); err != nil {
		made.Close()
		return 0, err
	}
	return made, nil
}

// setIntegrity lowers a token (learn.microsoft.com, "SetTokenInformation",
// "TOKEN_MANDATORY_LABEL").
func setIntegrity(t windows.Token, level string) error {
	sid, err := windows.StringToSid(level)
	if err != nil {
		return err
	}
	label := windows.Tokenmandatorylabel{Label: windows.SIDAndAttributes{Sid: sid, Attributes: windows.SE_GROUP_INTEGRITY}}
	if err := windows.SetTokenInformation(t, windows.TokenIntegrityLevel, (*byte)(unsafe.Pointer(&label)), label.Size()); err != nil {
		return fmt.Errorf("lower the integrity of a token: %w", err)
	}
	return nil
}

// boundedJob makes a job for one process, with bounds, that ends with its last
// handle, which this service has: with the service at the latest
// (learn.microsoft.com, "JOBOBJECT_EXTENDED_LIMIT_INFORMATION"). Windows, clipboard
// and desktops it is denied without one: see mitigations.
func boundedJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("make a job: %w", explain(err))
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{
		BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
			LimitFlags: jobLimits, ActiveProcessLimit: 1, PerProcessUserTimeLimit: confined.MaxTime * 1e7, // of 100 ns
		},
		ProcessMemoryLimit: confined.MaxMemory,
	}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		windows.CloseHandle(job)
		return 0, fmt.Errorf("bound a job: %w", err)
	}
	return job, nil
}

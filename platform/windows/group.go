//go:build windows

package windows

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/platform/windows/held"
)

// A launch group is a job object whose name nobody can guess:
//
//	job:Global\kpm-0123456789abcdef0123456789abcdef
//
// A name goes when the last handle of it is closed: the helper that leads the
// group has one, and this service as long as it runs.
const (
	groupKind = "job:"
	jobPrefix = `Global\kpm-`
	jobRandom = 16 // bytes
)

// Access rights of jobs that x/sys lacks (learn.microsoft.com, "Job Object
// Security and Access Rights").
const (
	jobQuery     = 0x0004
	jobTerminate = 0x0008
)

// errBadGroup is wrapped for a name that no launcher of ours gave, and for a job
// that none of ours has made.
var errBadGroup = errors.New("not the name of a launch group")

// newJob makes a group (learn.microsoft.com, "CreateJobObjectW").
//
// Attack: somebody makes an object of the name before, and then ends the group,
// or counts as one of its processes. So the name is not guessed, an existing one
// is refused, and administrators alone have any access.
func newJob() (windows.Handle, string, error) {
	var random [jobRandom]byte
	rand.Read(random[:]) // never fails
	name := jobPrefix + hex.EncodeToString(random[:])
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, "", err
	}
	descriptor, err := windows.SecurityDescriptorFromString(held.Administrators)
	if err != nil {
		return 0, "", fmt.Errorf("make a job: descriptor: %w", err)
	}
	security := windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}
	job, err := windows.CreateJobObject(&security, wide)
	if err == windows.ERROR_ALREADY_EXISTS {
		windows.CloseHandle(job)
	}
	if err != nil {
		return 0, "", fmt.Errorf("make a job: %w", explain(err))
	}
	// learn.microsoft.com, "JOBOBJECT_BASIC_LIMIT_INFORMATION": no limit lets a
	// process out; the last handle's end ends whatever is in it.
	var limits windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION
	limits.BasicLimitInformation.LimitFlags = windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		windows.CloseHandle(job)
		return 0, "", fmt.Errorf("make a job: limits: %w", err)
	}
	return job, groupKind + name, nil
}

// openJob opens a group by its name (learn.microsoft.com, "OpenJobObjectW").
// Names come back from the journal, so nothing that is not exactly ours is acted
// on. A group that is gone is windows.ERROR_FILE_NOT_FOUND.
//
// Attack: after a group has ended, a user makes a job of its name: the user's
// processes would pass for ours. Nobody but administrators can make one that
// administrators own.
func openJob(group string, access uint32) (windows.Handle, error) {
	name, ok := strings.CutPrefix(group, groupKind)
	random, ours := strings.CutPrefix(name, jobPrefix)
	if raw, err := hex.DecodeString(random); !ok || !ours || err != nil || len(raw) != jobRandom {
		return 0, fmt.Errorf("%q: %w", group, errBadGroup)
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return 0, err
	}
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("OpenJobObjectW")
	opened, _, err := proc.Call(uintptr(access|windows.READ_CONTROL), 0, uintptr(unsafe.Pointer(wide)))
	if opened == 0 {
		return 0, err
	}
	job := windows.Handle(opened)
	// learn.microsoft.com, "GetSecurityInfo"
	descriptor, err := windows.GetSecurityInfo(job, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err == nil {
		var owner *windows.SID
		if owner, _, err = descriptor.Owner(); err == nil && isAdministrators(owner) {
			return job, nil
		}
	}
	windows.CloseHandle(job)
	if err != nil {
		return 0, fmt.Errorf("whose %q is: %w", group, err)
	}
	return 0, fmt.Errorf("%q belongs to somebody else than administrators: %w", group, errBadGroup)
}

// inJob reports whether a process is in a job (learn.microsoft.com,
// "IsProcessInJob").
func inJob(process, job windows.Handle) (bool, error) {
	var is int32
	proc := windows.NewLazySystemDLL("kernel32.dll").NewProc("IsProcessInJob")
	if ok, _, err := proc.Call(uintptr(process), uintptr(job), uintptr(unsafe.Pointer(&is))); ok == 0 {
		return false, fmt.Errorf("ask for the job of a process: %w", err)
	}
	return is != 0, nil
}

// accounting is JOBOBJECT_BASIC_ACCOUNTING_INFORMATION.
type accounting struct {
	_                                [4]int64 // times
	faults, total, active, ended, _0 uint32
}

// activeIn returns how many processes a job has (learn.microsoft.com,
// "QueryInformationJobObject").
func activeIn(job windows.Handle) (int, error) {
	var a accounting
	size := uint32(unsafe.Sizeof(a) - unsafe.Sizeof(a._0))
	size = uint32((uintptr(size) + 7) &^ 7)
	err := windows.QueryInformationJobObject(job, windows.JobObjectBasicAccountingInformation, uintptr(unsafe.Pointer(&a)), size, nil)
	if err != nil {
		return 0, fmt.Errorf("ask a job for its processes: %w", err)
	}
	return int(a.active), nil
}

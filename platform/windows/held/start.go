//go:build windows

package held

import (
	"fmt"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Administrators is the descriptor of everything that administrators alone may
// touch: they own it, and nobody else has any access, not even the user whose
// token the process has.
//
// Attack (CVE-2020-12615): the owner of a process may change its access list.
// One that was created for a user with an administrator's token belongs to the
// user by default, who then writes code into it.
const Administrators = "O:BAG:BAD:P(A;;GA;;;SY)(A;;GA;;;BA)"

// Attributes of a new process that x/sys lacks (learn.microsoft.com,
// "UpdateProcThreadAttribute"): PROC_THREAD_ATTRIBUTE_JOB_LIST, _CHILD_PROCESS_POLICY
// with its PROCESS_CREATION_CHILD_PROCESS_RESTRICTED.
const (
	attributeJobList     = 0x0002000d
	attributeChildPolicy = 0x0002000e
	childrenForbidden    = 1
)

// Start is one process to create. There is no other place in the launcher that
// creates one.
type Start struct {
	Token   windows.Token  // 0 for this process's own
	Job     windows.Handle // 0 for those that this process is in
	Console windows.Handle // a pseudo console, or 0
	Flags   uint32         // which console it gets; the others are set

	Application, CommandLine, Dir, Desktop string
	Env                                    []string
	// Streams are inheritable handles. If all are 0 and KeepStreams is true,
	// the process has those of its console.
	Streams     [3]windows.Handle
	KeepStreams bool
	// Security is a descriptor for process and main thread; empty for the
	// token's default.
	Security string
	// Mitigations are PROCESS_CREATION_MITIGATION_POLICY bits. A Childless process
	// can create no other.
	Mitigations uint64
	Childless   bool
}

// Create creates the process suspended: not one instruction of it has run. In
// the order of CreateProcessW's parameters (learn.microsoft.com,
// "CreateProcessAsUserW"):
func (s Start) Create() (windows.ProcessInformation, error) {
	var made windows.ProcessInformation
	// Attack: C:\Program.exe is run for "C:\Program Files\x.exe". The file is
	// named, and nothing is looked for.
	application, err := windows.UTF16PtrFromString(s.Application)
	if err != nil {
		return made, err
	}
	commandLine, err := windows.UTF16PtrFromString(s.CommandLine)
	if err != nil {
		return made, err
	}
	security, err := attributes(s.Security)
	if err != nil {
		return made, err
	}
	// Complete, so that nothing of the creator's own environment is inherited.
	environment := block(s.Env)
	dir, err := windows.UTF16PtrFromString(s.Dir)
	if err != nil {
		return made, err
	}
	startup, list, inherit, err := s.startup()
	if err != nil {
		return made, err
	}
	defer list.Delete()
	flags := s.Flags | windows.CREATE_SUSPENDED | windows.CREATE_UNICODE_ENVIRONMENT | windows.EXTENDED_STARTUPINFO_PRESENT
	if s.Token == 0 {
		err = windows.CreateProcess(application, commandLine, security, security, inherit, flags, &environment[0], dir, &startup.StartupInfo, &made)
	} else {
		err = windows.CreateProcessAsUser(s.Token, application, commandLine, security, security, inherit, flags, &environment[0], dir, &startup.StartupInfo, &made)
	}
	if err != nil {
		return made, fmt.Errorf("create the process %s: %w", s.Application, err)
	}
	return made, nil
}

// startup is STARTUPINFOEXW and whether handles are inherited at all
// (learn.microsoft.com, "STARTUPINFOW", "UpdateProcThreadAttribute").
func (s Start) startup() (*windows.StartupInfoEx, *windows.ProcThreadAttributeListContainer, bool, error) {
	list, err := windows.NewProcThreadAttributeList(5)
	if err != nil {
		return nil, nil, false, err
	}
	fail := func(what string, err error) (*windows.StartupInfoEx, *windows.ProcThreadAttributeListContainer, bool, error) {
		list.Delete()
		return nil, nil, false, fmt.Errorf("%s: %w", what, err)
	}
	// Attack: a process that joins its job after its start has had time to start
	// others outside of it.
	if s.Job != 0 {
		jobs := []windows.Handle{s.Job}
		if err := list.Update(attributeJobList, unsafe.Pointer(&jobs[0]), unsafe.Sizeof(jobs[0])); err != nil {
			return fail("job list", err)
		}
	}
	// Attack (CVE-2019-11184 and its kind): every inheritable handle that the
	// service has at that moment goes along. Only these do.
	var inherited []windows.Handle
	for _, stream := range s.Streams {
		if stream != 0 {
			inherited = append(inherited, stream)
		}
	}
	if len(inherited) > 0 {
		size := uintptr(len(inherited)) * unsafe.Sizeof(inherited[0])
		if err := list.Update(windows.PROC_THREAD_ATTRIBUTE_HANDLE_LIST, unsafe.Pointer(&inherited[0]), size); err != nil {
			return fail("handle list", err)
		}
	}
	if s.Console != 0 { // the handle is the value, not where it lies
		console := *(*unsafe.Pointer)(unsafe.Pointer(&s.Console))
		if err := list.Update(windows.PROC_THREAD_ATTRIBUTE_PSEUDOCONSOLE, console, unsafe.Sizeof(s.Console)); err != nil {
			return fail("pseudo console", err)
		}
	}
	if s.Mitigations != 0 {
		if err := list.Update(windows.PROC_THREAD_ATTRIBUTE_MITIGATION_POLICY, unsafe.Pointer(&s.Mitigations), unsafe.Sizeof(s.Mitigations)); err != nil {
			return fail("mitigations", err)
		}
	}
	if s.Childless {
		policy := new(uint32)
		*policy = childrenForbidden
		if err := list.Update(attributeChildPolicy, unsafe.Pointer(policy), unsafe.Sizeof(*policy)); err != nil {
			return fail("child processes", err)
		}
	}
	startup := &windows.StartupInfoEx{ProcThreadAttributeList: list.List()}
	startup.Cb = uint32(unsafe.Sizeof(*startup))
	if !s.KeepStreams {
		startup.Flags = windows.STARTF_USESTDHANDLES
		startup.StdInput, startup.StdOutput, startup.StdErr = s.Streams[0], s.Streams[1], s.Streams[2]
	}
	if s.Desktop != "" {
		if startup.Desktop, err = windows.UTF16PtrFromString(s.Desktop); err != nil {
			return fail("desktop", err)
		}
	}
	return startup, list, len(inherited) > 0, nil
}

// attributes are SECURITY_ATTRIBUTES with a descriptor, or nil. The handles of
// process and thread are not inheritable.
func attributes(sddl string) (*windows.SecurityAttributes, error) {
	if sddl == "" {
		return nil, nil
	}
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, fmt.Errorf("descriptor %s: %w", sddl, err)
	}
	return &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}, nil
}

// block is an environment block: strings that end in NUL, and a NUL.
func block(env []string) []uint16 {
	var b []uint16
	for _, entry := range env {
		b = append(append(b, utf16.Encode([]rune(entry))...), 0)
	}
	if len(b) == 0 {
		b = append(b, 0)
	}
	return append(b, 0)
}

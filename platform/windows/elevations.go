//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/lua"
)

// Elevations watches User Account Control by a trace of the events of Windows' provider
// Microsoft-Windows-LUA, in real time and into no file.
type Elevations struct{}

var _ port.Elevations = Elevations{}

// ErrNotTraced is wrapped when Windows gives us no events.
var ErrNotTraced = core.NewError(core.Unavailable, "elevations by User Account Control cannot be watched, which takes the rights of LocalSystem")

// providerLUA is {93C05D69-51A3-485E-877F-1806A8731346}.
var providerLUA = windows.GUID{Data1: 0x93c05d69, Data2: 0x51a3, Data3: 0x485e, Data4: [8]byte{0x87, 0x7f, 0x18, 0x06, 0xa8, 0x73, 0x13, 0x46}}

// traceName is what the trace is called. A machine has room for 64.
const traceName = ServiceName + "-Elevations"

// Watch implements port.Elevations (learn.microsoft.com, "StartTraceW",
// "EnableTraceEx2", "OpenTraceW", "ProcessTrace").
func (Elevations) Watch(ctx context.Context, seen func(port.Elevation)) error {
	session, err := startTrace()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTraced, err)
	}
	// One that is not stopped goes on without us: it is the kernel's.
	defer stopTrace(session)
	if err := advapi("EnableTraceEx2", uintptr(session), uintptr(unsafe.Pointer(&providerLUA)), enableProvider, levelInformation, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("%w: %w", ErrNotTraced, err)
	}
	t := &trace{seen: seen}
	opened, err := t.open()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotTraced, err)
	}
	stop := context.AfterFunc(ctx, func() { advapi("CloseTrace", uintptr(opened)) })
	// It returns when the trace is closed.
	err = advapi("ProcessTrace", uintptr(unsafe.Pointer(&opened)), 1, 0, 0)
	runtime.KeepAlive(t)
	if stop() {
		err = errors.Join(err, advapi("CloseTrace", uintptr(opened)))
	}
	switch {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		err = errors.New("somebody has stopped the trace " + traceName)
	}
	return fmt.Errorf("%w: %w", ErrNotTraced, err)
}

// trace is one that is listened to.
type trace struct {
	seen func(port.Elevation)
	name *uint16
	file logFile
}

// open opens the trace, whose events this process is called with.
func (t *trace) open() (uint64, error) {
	var err error
	if t.name, err = windows.UTF16PtrFromString(traceName); err != nil {
		return 0, err
	}
	t.file = logFile{loggerName: t.name, mode: modeRealTime | modeEventRecord, eventCallback: windows.NewCallback(t.event)}
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc("OpenTraceW")
	opened, _, err := proc.Call(uintptr(unsafe.Pointer(&t.file)))
	if uint64(opened) == invalidTrace {
		return 0, fmt.Errorf("OpenTraceW: %w", err)
	}
	return uint64(opened), nil
}

// event is called with each event, on the thread that listens.
func (t *trace) event(record *eventRecord) uintptr {
	if record.id != lua.Asked || record.provider != providerLUA || record.userData == nil {
		return 0
	}
	asked, err := lua.Decode(unsafe.Slice(record.userData, record.userDataLength))
	if err != nil {
		return 0
	}
	t.seen(port.Elevation{Path: asked.Path, CommandLine: asked.CommandLine, Session: sessionOf(record.process)})
	return 0
}

// sessionOf is the session of a process, if it has not ended. What asks people runs in
// theirs.
func sessionOf(pid uint32) core.SessionID {
	var session uint32
	if windows.ProcessIdToSessionId(pid, &session) != nil || session == 0 {
		return ""
	}
	return core.SessionID(strconv.FormatUint(uint64(session), 10))
}

// startTrace starts a trace. One that a service which was killed has left is stopped
// first.
func startTrace() (session uint64, err error) {
	name, err := windows.UTF16PtrFromString(traceName)
	if err != nil {
		return 0, err
	}
	for range 2 {
		p := newTraceProperties()
		err = advapi("StartTraceW", uintptr(unsafe.Pointer(&session)), uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(p)))
		if !errors.Is(err, windows.ERROR_ALREADY_EXISTS) {
			break
		}
		p = newTraceProperties()
		if err := advapi("ControlTraceW", 0, uintptr(unsafe.Pointer(name)), uintptr(unsafe.Pointer(p)), controlStop); err != nil {
			return 0, err
		}
	}
	return session, err
}

// stopTrace stops it. That it cannot be stopped nobody can do anything about; the next
// service tries again.
func stopTrace(session uint64) {
	p := newTraceProperties()
	_ = advapi("ControlTraceW", uintptr(session), 0, uintptr(unsafe.Pointer(p)), controlStop)
}

// advapi calls a function of advapi32.dll whose status is its result.
//
//go:uintptrescapes
func advapi(name string, arguments ...uintptr) error {
	proc := windows.NewLazySystemDLL("advapi32.dll").NewProc(name)
	if err := proc.Find(); err != nil {
		return fmt.Errorf("%s: %w: %w", name, errors.ErrUnsupported, err)
	}
	status, _, _ := proc.Call(arguments...)
	switch err := windows.Errno(status); err {
	case 0:
		return nil
	case windows.ERROR_CALL_NOT_IMPLEMENTED:
		return fmt.Errorf("%s: %w: %w", name, err, errors.ErrUnsupported)
	default:
		return fmt.Errorf("%s: %w", name, err)
	}
}

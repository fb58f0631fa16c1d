//go:build windows

package windows

import (
	"context"
	"errors"
	"os"
	"testing"
	"unicode/utf16"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core/port"
	"kpm/platform/windows/lua"
)

// Sizes and places that the headers of Windows have on 64 bits.
func TestStructuresOfTraces(t *testing.T) {
	for what, c := range map[string][2]uintptr{
		"EVENT_TRACE_PROPERTIES":                   {traceHeader, 120},
		"EVENT_TRACE_LOGFILEW":                     {unsafe.Sizeof(logFile{}), 448},
		"EVENT_TRACE_LOGFILEW.EventRecordCallback": {unsafe.Offsetof(logFile{}.eventCallback), 424},
		"EVENT_RECORD":                             {unsafe.Sizeof(eventRecord{}), 112},
		"EVENT_HEADER.EventDescriptor":             {unsafe.Offsetof(eventRecord{}.id), 40},
		"EVENT_RECORD.UserDataLength":              {unsafe.Offsetof(eventRecord{}.userDataLength), 86},
		"EVENT_RECORD.UserData":                    {unsafe.Offsetof(eventRecord{}.userData), 96},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %d, expected %d", what, c[0], c[1])
		}
	}
}

// What an event says is handed on, with the session of who has sent it; other events
// are not.
func TestElevationsThatAreSeen(t *testing.T) {
	var seen []port.Elevation
	watched := &trace{seen: func(e port.Elevation) { seen = append(seen, e) }}
	text := utf16.Encode([]rune("\x01C:\\a.exe\x00\"C:\\a.exe\" /x\x00"))
	record := eventRecord{
		provider: providerLUA, id: lua.Asked, process: uint32(os.Getpid()),
		userData: (*byte)(unsafe.Pointer(&text[0])), userDataLength: uint16(2 * len(text)),
	}
	watched.event(&record)
	other := record
	other.id = 16001
	watched.event(&other)
	other = record
	other.provider = windows.GUID{}
	watched.event(&other)
	other = record
	other.userData = nil
	watched.event(&other)
	other = record
	other.userDataLength = 2
	watched.event(&other)
	var session uint32
	must(t, windows.ProcessIdToSessionId(uint32(os.Getpid()), &session))
	want := port.Elevation{Path: `C:\a.exe`, CommandLine: `"C:\a.exe" /x`, Session: sessionOf(uint32(os.Getpid()))}
	if len(seen) != 1 || seen[0] != want || (session != 0) != (want.Session != "") {
		t.Errorf("%+v, expected %+v", seen, want)
	}
}

// The trace ends when nobody listens any more. Where there is none, that is said.
func TestWatchingElevations(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Elevations{}.Watch(ctx, func(port.Elevation) {}) }()
	if wine() {
		if err := <-ended; !errors.Is(err, ErrNotTraced) {
			t.Errorf("%v, expected ErrNotTraced", err)
		} else {
			t.Log(err)
		}
		cancel()
		return
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

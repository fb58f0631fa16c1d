//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"unsafe"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
)

// Sessions are those of Terminal Services, the console's among them. They are
// looked at anew for each question: what the service manager says with an event
// of a session has gone when Go sees it (go.dev/issue/65832).
type Sessions struct{}

var _ port.Sessions = Sessions{}

// List implements port.Sessions (learn.microsoft.com, "WTSEnumerateSessionsW").
// The states of people's sessions are active and disconnected; a session that
// nobody is logged in to has no token, and is left out.
func (Sessions) List(ctx context.Context) ([]core.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var first *windows.WTS_SESSION_INFO
	var n uint32
	if err := windows.WTSEnumerateSessions(0, 0, 1, &first, &n); err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	defer windows.WTSFreeMemory(uintptr(unsafe.Pointer(first)))
	var sessions []core.Session
	for _, s := range unsafe.Slice(first, n) {
		if s.State != windows.WTSActive && s.State != windows.WTSDisconnected {
			continue
		}
		user, err := sessionUser(s.SessionID)
		if err != nil {
			continue // nobody is logged in, or not any more
		}
		sessions = append(sessions, core.Session{
			ID: core.SessionID(strconv.FormatUint(uint64(s.SessionID), 10)), User: user,
			Graphical: true, Active: s.State == windows.WTSActive,
		})
	}
	return sessions, nil
}

// sessionUser is who is logged in to a session.
func sessionUser(session uint32) (core.UserID, error) {
	var t windows.Token
	if err := windows.WTSQueryUserToken(session, &t); err != nil {
		return "", err
	}
	defer t.Close()
	return tokenUser(t)
}

// Of implements port.Sessions (learn.microsoft.com, "ProcessIdToSessionId").
// Session 0 is that of services: what runs there is in nobody's.
func (Sessions) Of(id core.ProcessID) (core.SessionID, error) {
	process, ok := openExactly(id, windows.PROCESS_QUERY_LIMITED_INFORMATION)
	if !ok {
		return "", fmt.Errorf("session of process %s: %w", id, fs.ErrNotExist)
	}
	defer windows.CloseHandle(process)
	var session uint32
	if err := windows.ProcessIdToSessionId(uint32(id.PID), &session); err != nil {
		return "", fmt.Errorf("session of process %s: %w", id, err)
	}
	if session == 0 {
		return "", nil
	}
	return core.SessionID(strconv.FormatUint(uint64(session), 10)), nil
}

// Terminal implements port.Sessions. Nothing is remembered of whoever was verified
// at a terminal here: they are asked each time.
func (Sessions) Terminal(core.ProcessID) (core.Terminal, error) {
	return core.Terminal{}, errors.ErrUnsupported
}

//go:build darwin

package darwin

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/libsystem"
	"kpm/platform/darwin/tool"
)

// Sessions knows the graphical sessions by what SystemConfiguration keeps about
// the console, and whose a process is by its audit session. Logins by SSH are
// sessions as well and are not listed: nothing of what the system offers lists
// them.
type Sessions struct{}

var _ port.Sessions = Sessions{}

// List implements port.Sessions.
func (Sessions) List(ctx context.Context) ([]core.Session, error) {
	argv, input := tool.AskSessions()
	answer, err := ask(ctx, askTime, argv, input)
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	all, err := tool.ParseSessions(string(answer.output))
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return all, nil
}

// Of implements port.Sessions.
func (Sessions) Of(id core.ProcessID) (core.SessionID, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return "", err
	}
	session, err := calls.AuditSession(id.PID)
	// Asked afterwards: then it was that process, and no other with its pid.
	if p, found := processOf(id.PID); !found || p.Start != id.Start {
		return "", fmt.Errorf("session of %s: %w", id, fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("session of %s: %w", id, err)
	}
	if session == 0 {
		return "", nil
	}
	return core.SessionID(strconv.FormatUint(uint64(session), 10)), nil
}

// Terminal implements port.Sessions.
func (Sessions) Terminal(id core.ProcessID) (core.Terminal, error) { return terminalOf(mac{}, id) }

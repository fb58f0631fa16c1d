//go:build linux

package linux

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/port"
)

// SessionLauncher is a Launcher that also starts programs in people's sessions. What
// makes a program one of a session here is its user, its environment and its login
// in the audit log; its cgroup stays the service's, by which it is ended as a whole.
type SessionLauncher struct {
	*Launcher
	sessions Sessions
}

// NewSessionLauncher returns a SessionLauncher. Closing l closes it.
func NewSessionLauncher(l *Launcher, sessions Sessions) SessionLauncher {
	return SessionLauncher{l, sessions}
}

// Prepare implements port.Launcher. Errors wrap fs.ErrNotExist for a session that
// has ended, is another user's, or lacks what the program needs.
func (l SessionLauncher) Prepare(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	switch {
	case spec.As.Session != "":
		env, err := l.sessions.environment(ctx, spec.As)
		if err != nil {
			return nil, fmt.Errorf("launch: %w", err)
		}
		spec.Env = replaced(spec.Env, env)
	case spec.As.RunAs == core.AsUserDesktop:
		return nil, fmt.Errorf("launch: user %s has no session with a desktop: log in graphically: %w", spec.As.Account.User, fs.ErrNotExist)
	}
	return l.Launcher.Prepare(ctx, spec)
}

// sessionVariables say which session a program belongs to; what a caller has put
// there is not kept, whether the session has such a thing or not.
var sessionVariables = []string{
	"HOME", "USER", "LOGNAME", "SHELL", "XDG_SESSION_ID", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
	"WAYLAND_DISPLAY", "DISPLAY", "XAUTHORITY",
}

// replaced is env with the variables of a session.
func replaced(env, session []string) []string {
	kept := make([]string, 0, len(env)+len(session))
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains(sessionVariables, name) {
			kept = append(kept, variable)
		}
	}
	return append(kept, session...)
}

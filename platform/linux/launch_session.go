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
//
// Where PAM has a file for us, programs of kind User and UserDesktop also have a PAM
// session, from before their first instruction to their end: its resource limits, and
// of its environment what the service has not set.
type SessionLauncher struct {
	*Launcher
	sessions Sessions
	pam      *PAM
}

// NewSessionLauncher returns a SessionLauncher. Closing l closes it. p may be nil:
// then there are no PAM sessions.
func NewSessionLauncher(l *Launcher, sessions Sessions, p *PAM) SessionLauncher {
	return SessionLauncher{l, sessions, p}
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
	if spec.As.RunAs != core.AsUser && spec.As.RunAs != core.AsUserDesktop {
		return l.Launcher.Prepare(ctx, spec)
	}
	held, err := l.prepareInPAM(ctx, spec)
	if err != nil || spec.As.Session == "" {
		return held, err
	}
	return heldInSession{held, func(ctx context.Context) error {
		_, err := l.sessions.find(ctx, spec.As)
		return err
	}}, nil
}

// heldInSession is a program that waits to be one of a session.
type heldInSession struct {
	port.Held
	there func(context.Context) error // the session
}

// Release implements port.Held.
//
// Attack, or accident: the session ends while the program waits, its number becomes
// another user's, and the program acts on that one's desktop.
func (h heldInSession) Release(ctx context.Context) (port.Process, error) {
	if err := h.there(ctx); err != nil {
		h.Discard()
		return nil, fmt.Errorf("launch: %w", err)
	}
	return h.Held.Release(ctx)
}

// prepareInPAM is Prepare, in a PAM session if there is to be one. A session that
// PAM refuses is a refusal: an administrator has said so.
func (l SessionLauncher) prepareInPAM(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	session, err := l.pam.open(ctx, spec.As, variablesOf(spec.Env, sessionVariables))
	if err != nil {
		return nil, fmt.Errorf("launch: %w", err)
	}
	if session == nil {
		return l.Launcher.Prepare(ctx, spec)
	}
	spec.Env = completed(spec.Env, session.environment)
	c, err := l.prepare(ctx, spec, session.limit)
	if err != nil {
		session.end()
		return nil, err
	}
	c.whenEnded(session.end)
	return c, nil
}

// variablesOf are those of env with such a name.
func variablesOf(env, names []string) (found []string) {
	for _, variable := range env {
		if name, _, _ := strings.Cut(variable, "="); slices.Contains(names, name) {
			found = append(found, variable)
		}
	}
	return found
}

// completed is env with the variables of more that it lacks. What the service or a
// session says is not PAM's to change.
func completed(env, more []string) []string {
	has := map[string]bool{}
	for _, variable := range env {
		name, _, _ := strings.Cut(variable, "=")
		has[name] = true
	}
	all := slices.Clone(env)
	for _, variable := range more {
		if name, _, ok := strings.Cut(variable, "="); ok && !has[name] {
			all = append(all, variable)
		}
	}
	return all
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

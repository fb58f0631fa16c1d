//go:build linux

package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/port"
)

// Sessions knows the login sessions of this machine: those that logind says, or,
// on a machine without logind, the terminals in utmp(5). The two are not mixed:
// where logind does not answer, nobody is said to be logged in by other evidence.
type Sessions struct {
	accounts Accounts // of the names in utmp

	bus, utmp, devices, runtime, x11 string // for tests; empty means the system's
}

var _ port.Sessions = Sessions{}

// NewSessions returns Sessions that look the users of utmp up in accounts.
func NewSessions(accounts Accounts) Sessions { return Sessions{accounts: accounts} }

// sessionTime bounds one question about sessions, if its caller sets no shorter
// time.
const sessionTime = 2 * time.Second

// ofTime bounds Of, which a request waits for.
const ofTime = 250 * time.Millisecond

// login is a session with what only this system says of it.
type login struct {
	core.Session
	display string // of X, as the display manager told logind; or empty
	opening bool   // nobody is in it yet
}

// List implements port.Sessions. A session that is being opened is none yet: its user waits
// for their runtime directory and their service manager, and what starts there would have
// neither for as long as it runs.
func (s Sessions) List(ctx context.Context) ([]core.Session, error) {
	logins, err := s.logins(ctx)
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	all := make([]core.Session, 0, len(logins))
	for _, l := range logins {
		if !l.opening {
			all = append(all, l.Session)
		}
	}
	return all, nil
}

func (s Sessions) logins(ctx context.Context) ([]login, error) {
	all, err := s.fromLogind(ctx)
	if errors.Is(err, errNoLogind) {
		all, err = s.fromUtmp()
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("neither systemd-logind nor /run/utmp is there; install libpam-systemd (Debian) or enable systemd-logind: %w", errors.ErrUnsupported)
		}
	}
	return all, err
}

// Of implements port.Sessions. A process of a user's service manager, which is
// where desktops start programs, is in the session that logind calls the
// display of that user. What this service has launched is in none: it stays in
// the service's own cgroup, by which it is ended.
//
// Attack: the environment of a process (XDG_SESSION_ID) is whatever the process
// says; its cgroup is what root has put it in.
func (s Sessions) Of(id core.ProcessID) (core.SessionID, error) {
	session, err := s.of(id)
	if errors.Is(err, errVanished) {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return "", fmt.Errorf("session of %s: %w", id, err)
	}
	return session, nil
}

func (s Sessions) of(id core.ProcessID) (core.SessionID, error) {
	p, err := openProcess(id.PID)
	if err != nil {
		return "", err
	}
	defer p.close()
	now, err := p.stat()
	if err == nil && now.start != id.Start {
		err = fmt.Errorf("process %d is another one by now: %w", id.PID, errVanished)
	}
	if err != nil {
		return "", err
	}
	var buf [8192]byte
	text, err := p.read("cgroup", buf[:])
	if err != nil {
		return "", err
	}
	session, manager := parseSessionCgroup(text)
	if session != "" {
		return session, nil
	}
	if manager != "" {
		ctx, cancel := context.WithTimeout(context.Background(), ofTime)
		defer cancel()
		session, err = s.displayOf(ctx, manager)
		if errors.Is(err, errNoLogind) {
			return "", nil
		}
		return session, err
	}
	if s.hasLogind() {
		return "", nil // it knows every session, and this process is in none
	}
	return s.ofTerminal(now.terminal)
}

// parseSessionCgroup reads /proc/PID/cgroup: the session in whose scope a
// process is or, if it belongs to a user's service manager, whose that is
// (systemd.io/CGROUP_DELEGATION, sd_pid_get_session(3)).
//
// Attack: below a cgroup that a user may write to, the user makes one that is
// called like another user's session. So the path counts from its beginning.
func parseSessionCgroup(text []byte) (session core.SessionID, manager core.UserID) {
	for line := range bytes.Lines(text) {
		hierarchy, path, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), ":/")
		if !ok || hierarchy != "0:" && !strings.HasSuffix(hierarchy, ":name=systemd") {
			continue
		}
		parts := strings.SplitN(path, "/", 4)
		if len(parts) < 3 || parts[0] != "user.slice" {
			continue
		}
		user := cutBoth(parts[1], "user-", ".slice")
		if _, err := parseKernelID(user); err != nil {
			continue
		}
		if parts[2] == "user@"+user+".service" {
			return "", core.UserID(user)
		}
		if id := core.SessionID(cutBoth(parts[2], "session-", ".scope")); validSession(id) {
			return id, ""
		}
	}
	return "", ""
}

// cutBoth returns what is between prefix and suffix, or nothing.
func cutBoth(s, prefix, suffix string) string {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return ""
	}
	if s, ok = strings.CutSuffix(s, suffix); !ok {
		return ""
	}
	return s
}

// maxSession bounds the id of a session, in bytes. logind's are a few digits,
// with a letter before them where the kernel has not given one.
const maxSession = 64

// validSession reports whether an id has the form of logind's.
func validSession(id core.SessionID) bool {
	return id != "" && len(id) <= maxSession && !strings.ContainsFunc(string(id), func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

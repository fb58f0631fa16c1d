//go:build linux

package linux

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// environment is what a program must find in its environment to run as a person
// in one of their sessions, looked up at this moment. Errors wrap fs.ErrNotExist
// for a session that has ended, or that has no desktop where one is needed.
//
// Attack: the environment of a session's own processes is the user's to change,
// and libraries do what is in it: DBUS_SESSION_BUS_ADDRESS alone can name a program
// to start ("unixexec:"). So nothing is copied from there. Each value is built here
// out of the session that logind names and sockets and files whose owner the kernel
// knows: another user's are not used, wherever they lie.
//
// A program that is not the session's user gets what shows windows and nothing
// more: in that user's runtime directory and on that user's bus, what root does is
// decided by the user.
func (s Sessions) environment(ctx context.Context, as core.Identity) ([]string, error) {
	session, err := s.find(ctx, as)
	if err != nil {
		return nil, err
	}
	uid, err := parseKernelID(string(session.User))
	if err != nil {
		return nil, err
	}
	env := []string{
		"HOME=" + as.Account.Home, "USER=" + as.Account.Name, "LOGNAME=" + as.Account.Name, "SHELL=" + as.Account.Shell,
		"XDG_SESSION_ID=" + string(session.ID),
	}
	dir := filepath.Join(cmp.Or(s.runtime, "/run/user"), string(session.User))
	own := ownedBy(dir, uid, unix.S_IFDIR)
	if own && as.Account.User == session.User {
		env = append(env, "XDG_RUNTIME_DIR="+dir)
		if bus := filepath.Join(dir, "bus"); ownedBy(bus, uid, unix.S_IFSOCK) {
			env = append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path="+bus)
		}
	}
	if !session.Graphical || as.RunAs == core.AsUser {
		return env, nil
	}
	if own {
		if name := first(dir, "wayland-*", uid, unix.S_IFSOCK); name != "" {
			env = append(env, "WAYLAND_DISPLAY="+filepath.Join(dir, name))
		}
		if name := first(dir, ".mutter-Xwaylandauth.*", uid, unix.S_IFREG); name != "" {
			env = append(env, "XAUTHORITY="+filepath.Join(dir, name))
		} else if name := first(filepath.Join(dir, "gdm"), "Xauthority", uid, unix.S_IFREG); name != "" {
			env = append(env, "XAUTHORITY="+filepath.Join(dir, "gdm", name))
		} else if name := first(dir, "xauth_*", uid, unix.S_IFREG); name != "" {
			env = append(env, "XAUTHORITY="+filepath.Join(dir, name))
		}
	}
	if display := s.display(session, uid); display != "" {
		env = append(env, "DISPLAY="+display)
	}
	return env, nil
}

// find returns the session that an identity names, if it is that user's.
//
// Attack: a session ends, and its number or terminal becomes another user's
// before the program starts there.
func (s Sessions) find(ctx context.Context, as core.Identity) (login, error) {
	logins, err := s.logins(ctx)
	if err != nil {
		return login{}, fmt.Errorf("session %s: %w", as.Session, err)
	}
	i := slices.IndexFunc(logins, func(l login) bool { return l.ID == as.Session })
	if i < 0 {
		return login{}, fmt.Errorf("session %s has ended: log in again: %w", as.Session, fs.ErrNotExist)
	}
	session, user := logins[i], as.Account.User
	if as.RunAs == core.AsUserElevated {
		user = as.Login
	}
	if session.User != user {
		return login{}, fmt.Errorf("session %s is user %s's, not user %s's: %w", as.Session, session.User, user, fs.ErrNotExist)
	}
	if as.RunAs == core.AsUserDesktop && !session.Graphical {
		return login{}, fmt.Errorf("session %s has no desktop: log in graphically: %w", as.Session, fs.ErrNotExist)
	}
	return session, nil
}

// display is the X display of a session: what the display manager, which is
// root's, has told logind, or the first one that the user's own server listens on.
func (s Sessions) display(session login, uid uint32) string {
	dir := cmp.Or(s.x11, "/tmp/.X11-unix")
	if number, ok := localDisplay(session.display); ok {
		socket := filepath.Join(dir, "X"+number)
		if ownedBy(socket, uid, unix.S_IFSOCK) || ownedBy(socket, 0, unix.S_IFSOCK) {
			return ":" + number
		}
	}
	// In a directory that is everybody's, a socket's owner has made it.
	if name := first(dir, "X*", uid, unix.S_IFSOCK); name != "" {
		if number, ok := localDisplay(":" + strings.TrimPrefix(name, "X")); ok {
			return ":" + number
		}
	}
	return ""
}

// localDisplay returns the number in a display of this machine: ":1" or ":1.0".
func localDisplay(display string) (number string, ok bool) {
	rest, ok := strings.CutPrefix(display, ":")
	if !ok {
		return "", false
	}
	number, screen, hasScreen := strings.Cut(rest, ".")
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || strconv.FormatUint(n, 10) != number {
		return "", false
	}
	if hasScreen {
		if _, err := strconv.ParseUint(screen, 10, 16); err != nil {
			return "", false
		}
	}
	return number, true
}

// first returns the name of the first entry in dir, by length and then by letters,
// that matches a pattern and is of that owner and kind. Locks and the like that lie
// beside a socket are not sockets.
func first(dir, pattern string, uid uint32, kind uint32) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if match, err := filepath.Match(pattern, e.Name()); err == nil && match && ownedBy(filepath.Join(dir, e.Name()), uid, kind) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return slices.MinFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
	})
}

// ownedBy reports whether a path is itself, and not by a link, something of that
// kind and owner. A name with bytes that an address or a reader of the environment
// would take for its own is nobody's.
func ownedBy(path string, uid, kind uint32) bool {
	if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(",;=%\"'\\", r) }) {
		return false
	}
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT == kind && st.Uid == uid
}

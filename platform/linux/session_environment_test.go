//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// socketAt makes a socket's file that belongs to uid.
func socketAt(t *testing.T, path string, uid int) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, unix.Mknod(path, unix.S_IFSOCK|0o700, 0))
	must(t, os.Chown(path, uid, -1))
}

func fileAt(t *testing.T, path string, uid int) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Chown(path, uid, -1))
}

// The user of these is otherAccount, 4242; 4243 is who attacks.
func TestEnvironmentOfASession(t *testing.T) {
	const user, attacker = 4242, 4243
	x11 := func(display string) session {
		s := desk("1", user, "x11")
		s.properties["Display"] = display
		return s
	}
	wayland, opening := desk("1", user, "wayland"), desk("1", user, "wayland")
	opening.properties["State"] = "opening"
	elevated := core.Identity{RunAs: core.AsUserElevated, Account: rootAccount, Session: "1", Login: "4242"}
	as := func(r core.RunAs) core.Identity {
		return core.Identity{RunAs: r, Account: otherAccount, Session: "1", Login: "4242"}
	}
	full := func(t *testing.T, run, x string) {
		for _, name := range []string{"bus", "wayland-0", "wayland-1"} {
			socketAt(t, filepath.Join(run, name), user)
		}
		fileAt(t, filepath.Join(run, "wayland-0.lock"), user)
		fileAt(t, filepath.Join(run, ".mutter-Xwaylandauth.ABCDEF"), user)
		socketAt(t, filepath.Join(x, "X0"), 0)
		socketAt(t, filepath.Join(x, "X1"), user)
		socketAt(t, filepath.Join(x, "X2"), attacker)
	}
	own := []string{"XDG_RUNTIME_DIR=@", "DBUS_SESSION_BUS_ADDRESS=unix:path=@/bus"}
	windows := []string{"WAYLAND_DISPLAY=@/wayland-0", "XAUTHORITY=@/.mutter-Xwaylandauth.ABCDEF"}
	for name, tc := range map[string]struct {
		session session
		as      core.Identity
		make    func(t *testing.T, run, x string)
		want    []string
	}{
		"User":                 {wayland, as(core.AsUser), full, own},
		"UserDesktop":          {wayland, as(core.AsUserDesktop), full, slices.Concat(own, windows, []string{"DISPLAY=:1"})},
		"UserElevated":         {wayland, elevated, full, slices.Concat(windows, []string{"DISPLAY=:1"})},
		"the manager's X":      {x11(":0"), as(core.AsUserDesktop), full, slices.Concat(own, windows, []string{"DISPLAY=:0"})},
		"with a screen":        {x11(":0.0"), as(core.AsUserDesktop), full, slices.Concat(own, windows, []string{"DISPLAY=:0"})},
		"another user's X":     {x11(":2"), as(core.AsUserDesktop), full, slices.Concat(own, windows, []string{"DISPLAY=:1"})},
		"a display elsewhere":  {x11("evil:0"), as(core.AsUserDesktop), full, slices.Concat(own, windows, []string{"DISPLAY=:1"})},
		"a display by path":    {x11(":../../tmp/x"), as(core.AsUserDesktop), full, slices.Concat(own, windows, []string{"DISPLAY=:1"})},
		"asked while it opens": {opening, as(core.AsUser), full, own},
		"nothing there":        {wayland, as(core.AsUserDesktop), func(*testing.T, string, string) {}, own[:1]},
		"what is another user's": {wayland, as(core.AsUserDesktop), func(t *testing.T, run, x string) {
			socketAt(t, filepath.Join(run, "bus"), attacker)
			socketAt(t, filepath.Join(run, "wayland-0"), attacker)
			fileAt(t, filepath.Join(run, "xauth_abc"), attacker)
			socketAt(t, filepath.Join(x, "X0"), attacker)
		}, own[:1]},
		"links and names": {wayland, as(core.AsUserDesktop), func(t *testing.T, run, x string) {
			socketAt(t, filepath.Join(run, "elsewhere"), user)
			must(t, os.Symlink("elsewhere", filepath.Join(run, "bus")))
			socketAt(t, filepath.Join(run, "wayland-a;unixexec:path=x"), user)
			fileAt(t, filepath.Join(x, "X0"), user)
			socketAt(t, filepath.Join(x, "X00"), user)
		}, own[:1]},
		"of the display manager": {x11(":0"), as(core.AsUserDesktop), func(t *testing.T, run, x string) {
			fileAt(t, filepath.Join(run, "gdm", "Xauthority"), user)
			socketAt(t, filepath.Join(x, "X0"), 0)
		}, slices.Concat(own[:1], []string{"XAUTHORITY=@/gdm/Xauthority", "DISPLAY=:0"})},
		"a runtime directory of another's": {wayland, as(core.AsUserDesktop), func(t *testing.T, run, x string) {
			full(t, run, x)
			must(t, os.Chown(run, attacker, -1))
		}, []string{"DISPLAY=:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Sessions{bus: newBus(t).with(t, tc.session), runtime: t.TempDir(), x11: t.TempDir()}
			run := filepath.Join(s.runtime, "4242")
			must(t, os.Mkdir(run, 0o700))
			must(t, os.Chown(run, user, -1))
			tc.make(t, run, s.x11)
			got, err := s.environment(t.Context(), tc.as)
			want := []string{"HOME=/", "USER=" + tc.as.Account.Name, "LOGNAME=" + tc.as.Account.Name, "SHELL=/bin/sh", "XDG_SESSION_ID=1"}
			for _, variable := range tc.want {
				want = append(want, strings.ReplaceAll(variable, "@", run))
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%q, %v\nwant %q", got, err, want)
			}
		})
	}
}

func TestSessionsThatCannotBeUsed(t *testing.T) {
	s := Sessions{bus: newBus(t).with(t, desk("1", 4242, "x11"), desk("2", 4243, "x11"), desk("5", 4242, "tty")), runtime: t.TempDir()}
	launcher := NewSessionLauncher(newLauncher(t, 1, ""), s, nil)
	for name, tc := range map[string]struct {
		as   core.Identity
		says string
	}{
		"ended":                      {core.Identity{RunAs: core.AsUser, Account: otherAccount, Session: "9"}, "session 9 has ended"},
		"another user's":             {core.Identity{RunAs: core.AsUser, Account: otherAccount, Session: "2"}, "session 2 is user 4243's, not user 4242's"},
		"root in a user's":           {core.Identity{RunAs: core.AsUser, Account: rootAccount, Session: "1"}, "session 1 is user 4242's, not user 0's"},
		"elevated in another user's": {core.Identity{RunAs: core.AsUserElevated, Account: rootAccount, Session: "1", Login: "4243"}, "not user 4243's"},
		"elevated for nobody":        {core.Identity{RunAs: core.AsUserElevated, Account: rootAccount, Session: "1"}, "not user 's"},
		"no desktop":                 {core.Identity{RunAs: core.AsUserDesktop, Account: otherAccount, Session: "5"}, "session 5 has no desktop"},
		"no session":                 {core.Identity{RunAs: core.AsUserDesktop, Account: otherAccount}, "has no session with a desktop"},
	} {
		spec := shell(t, "true")
		spec.As = tc.as
		held, err := launcher.Prepare(t.Context(), spec)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, expected fs.ErrNotExist and %q", name, err, tc.says)
		}
		if err == nil {
			held.Discard()
		}
	}
}

// A session ends between Prepare and Release: nothing runs.
func TestASessionThatEndsMeanwhile(t *testing.T) {
	bus := filepath.Join(t.TempDir(), "bus")
	must(t, os.Symlink(newBus(t).with(t, desk("1", 4242, "tty")), bus))
	launcher := NewSessionLauncher(newLauncher(t, 1, ""), Sessions{bus: bus, runtime: t.TempDir()}, nil)
	dir := public(t)
	must(t, os.Chmod(dir, 0o777))
	ran := filepath.Join(dir, "ran")
	spec := shell(t, "touch "+ran)
	spec.As = core.Identity{RunAs: core.AsUser, Account: otherAccount, Session: "1", Login: "4242"}
	held, err := launcher.Prepare(t.Context(), spec)
	must(t, err)
	must(t, os.Remove(bus))
	must(t, os.Symlink(newBus(t).with(t, desk("2", 4243, "tty")), bus))
	process, err := held.Release(t.Context())
	if process != nil || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "session 1 has ended: log in again") {
		t.Errorf("%v, %v", process, err)
	}
	tree := NewTree()
	eventually(t, "the program that waited has ended", func() bool { return !tree.Alive(held.ID()) })
	if _, err := os.Stat(ran); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it ran: %v", err)
	}
}

// What a caller says about a session does not come through.
func TestProgramInASession(t *testing.T) {
	s := Sessions{bus: newBus(t).with(t, desk("1", 4242, "tty")), runtime: t.TempDir()}
	spec := shell(t, "env | sort; id -u")
	spec.As = core.Identity{RunAs: core.AsUser, Account: otherAccount, Session: "1", Login: "4242"}
	spec.Env = []string{"PATH=/usr/bin:/bin", "KEPT=1", "HOME=/tmp", "DISPLAY=evil:0", "DBUS_SESSION_BUS_ADDRESS=unixexec:path=/tmp/x", "XDG_SESSION_ID=2"}
	out, status := output(t, NewSessionLauncher(newLauncher(t, 1, ""), s, nil), spec)
	want := "HOME=/\nKEPT=1\nLOGNAME=other\nPATH=/usr/bin:/bin\nPWD=/\nSHELL=/bin/sh\nUSER=other\nXDG_SESSION_ID=1\n4242\n"
	if out != want || status != (core.ExitStatus{}) {
		t.Errorf("%q, %+v\nwant %q", out, status, want)
	}
}

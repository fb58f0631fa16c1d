//go:build linux

package linux

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/conformance"
)

// logIn gives a ground a logind, with a session of the user that programs run as.
func logIn(t *testing.T, g *conformance.Ground) {
	s := Sessions{bus: newBus(t).with(t, desk("c1", 4242, "x11"), desk("c2", 4243, "x11")), runtime: t.TempDir()}
	host := g.Host
	g.Host = func() (port.Host, error) {
		h, err := host()
		if l, ok := h.Launcher.(*Launcher); ok {
			h.Launcher, h.Sessions = NewSessionLauncher(l, s, nil), s
		}
		return h, err
	}
	g.Foreign = "c2"
	g.Login = func(as core.RunAs) core.Identity {
		return core.Identity{RunAs: as, Account: otherAccount, Session: "c1", Login: "4242"}
	}
}

func TestSessionsOfLogind(t *testing.T) {
	class := func(s session, class, state string) session {
		s.properties["Class"], s.properties["State"] = class, state
		return s
	}
	ssh := desk("7", 1001, "tty")
	ssh.properties["Active"] = false
	s := Sessions{bus: newBus(t).with(t,
		desk("3", 1000, "wayland"), desk("4", 1000, "x11"), ssh, desk("c1", 0, "tty"),
		class(desk("8", 120, "wayland"), "greeter", "active"), class(desk("9", 1000, "unspecified"), "background", "active"),
		class(desk("10", 1000, "unspecified"), "manager", "active"), class(desk("11", 1000, "x11"), "of-tomorrow", "active"),
		class(desk("12", 1000, "x11"), "user", "closing"), class(desk("15", 1000, "x11"), "user", "opening"), desk("13", 1000, "of-tomorrow"), desk("../../1", 1000, "x11"),
		session{id: "14", uid: 1000}, // ended meanwhile
	)}
	got, err := s.List(t.Context())
	want := []core.Session{
		{ID: "3", User: "1000", Graphical: true, Active: true}, {ID: "4", User: "1000", Graphical: true, Active: true},
		{ID: "7", User: "1001"}, {ID: "c1", User: "0", Active: true}, {ID: "13", User: "1000", Active: true},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	if id, err := s.displayOf(t.Context(), "1000"); id != "3" || err != nil {
		t.Errorf("the display of user 1000 is %q, %v", id, err)
	}
	if id, err := s.displayOf(t.Context(), "999"); id != "" || err != nil {
		t.Errorf("the display of a user who is not logged in is %q, %v", id, err)
	}
	if id, err := s.displayOf(t.Context(), "1001"); id != "" || err != nil {
		t.Errorf("the display of a user who logs out meanwhile is %q, %v", id, err)
	}
	if id, err := s.Of(NewTree().Self()); id != "" || err != nil {
		t.Errorf("this process is in session %q, %v", id, err)
	}
}

// Who does not answer is not taken for one who is not there.
func TestLogindThatDoesNotAnswer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bus")
	listener, err := net.Listen("unix", path)
	must(t, err)
	defer listener.Close()
	utmp := filepath.Join(t.TempDir(), "utmp")
	must(t, os.WriteFile(utmp, record(t, 7, "null", "root", os.Getpid()), 0o644))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if all, err := (Sessions{bus: path, utmp: utmp}).List(ctx); err == nil || errors.Is(err, errNoLogind) || len(all) != 0 {
		t.Errorf("a bus that hangs: %+v, %v", all, err)
	}
	if l, err := (Sessions{bus: path}).find(ctx, core.Identity{Session: "1"}); err == nil {
		t.Errorf("a bus that hangs: %+v", l)
	}
}

// A bus without logind, and no bus: then utmp is asked.
func TestWithoutLogind(t *testing.T) {
	empty := t.TempDir()
	utmp := filepath.Join(empty, "utmp")
	must(t, os.WriteFile(utmp, nil, 0o644))
	for name, bus := range map[string]string{"a bus without logind": newBus(t).path, "no bus": filepath.Join(empty, "bus")} {
		if all, err := (Sessions{bus: bus, utmp: utmp}).List(t.Context()); err != nil || len(all) != 0 {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
		if _, err := (Sessions{bus: bus, utmp: filepath.Join(empty, "none")}).List(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s and no utmp: %v, expected errors.ErrUnsupported", name, err)
		}
	}
}

func TestParseSessionCgroup(t *testing.T) {
	for text, want := range map[string]struct {
		session core.SessionID
		manager core.UserID
	}{
		"0::/user.slice/user-1000.slice/session-3.scope\n":                                           {"3", ""},
		"0::/user.slice/user-1000.slice/session-c12.scope/below/it\n":                                {"c12", ""},
		"12:cpu:/\n1:name=systemd:/user.slice/user-0.slice/session-5.scope\n0::/\n":                  {"5", ""},
		"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-x.scope\n":                   {"", "1000"},
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/user-0.slice/session-1.scope\n": {"", "1000"},
		"0::/user.slice/user-1000.slice/user@1001.service\n":                                         {},
		"0::/system.slice/user.slice/user-0.slice/session-1.scope\n":                                 {},
		"0::/user.slice/user-x.slice/session-1.scope\n":                                              {},
		"0::/user.slice/user-4294967295.slice/session-1.scope\n":                                     {},
		"0::/user.slice/user-1000.slice/session-.scope\n":                                            {},
		"0::/user.slice/user-1000.slice/session-1 2.scope\n":                                         {},
		"0::/../user.slice/user-1000.slice/session-1.scope\n":                                        {},
		"7:cpu:/user.slice/user-1000.slice/session-1.scope\n":                                        {},
		"0::/user.slice\n": {}, "0::/\n": {}, "": {}, "0:": {},
	} {
		if session, manager := parseSessionCgroup([]byte(text)); session != want.session || manager != want.manager {
			t.Errorf("%q: session %q, manager of %q; expected %+v", text, session, manager, want)
		}
	}
}

func FuzzParseSessionCgroup(f *testing.F) {
	f.Add([]byte("0::/user.slice/user-1000.slice/session-3.scope\n"))
	f.Add([]byte("0::/user.slice/user-1000.slice/user@1000.service\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		session, manager := parseSessionCgroup(text)
		if session != "" && (manager != "" || !validSession(session)) {
			t.Errorf("%q: session %q, manager %q", text, session, manager)
		}
		if manager != "" {
			if _, err := parseKernelID(string(manager)); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestSessionsOfThisMachine prints what is so on a real machine and holds it to
// itself; vmtests/installed runs it on one where people are logged in, and reads
// what it prints.
func TestSessionsOfThisMachine(t *testing.T) {
	s := NewSessions(NewAccounts())
	all, err := s.List(t.Context())
	if errors.Is(err, errors.ErrUnsupported) {
		return
	}
	must(t, err)
	known := map[core.SessionID]core.Session{}
	for _, one := range all {
		known[one.ID] = one
		t.Logf("session %s of %s graphical=%t active=%t", one.ID, one.User, one.Graphical, one.Active)
		t.Log("program: " + inTheirSession(t, s, one))
	}
	for _, pid := range allPids() {
		start, err := startTicks(pid)
		if err != nil {
			continue
		}
		of, err := s.Of(core.ProcessID{PID: pid, Start: start})
		if one, ok := known[of]; ok {
			t.Logf("process of %s in %s", one.User, of)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
}

// inTheirSession runs a program in a session, as its user, and returns what it is. A
// session may have ended since it was listed.
func inTheirSession(t *testing.T, s Sessions, in core.Session) string {
	account, err := s.accounts.ByID(in.User)
	must(t, err)
	as := core.Identity{RunAs: core.AsUser, Account: account, Session: in.ID, Login: in.User}
	if in.Graphical {
		as.RunAs = core.AsUserDesktop
	}
	spec := shell(t, `echo "$(id -u)/$(id -G)" $USER $HOME $XDG_SESSION_ID $XDG_RUNTIME_DIR $DBUS_SESSION_BUS_ADDRESS $DISPLAY; test -w "$XDG_RUNTIME_DIR" && echo writes`)
	spec.As = as
	helper := os.Getenv(conformanceHelper)
	if helper == "" {
		helper = helperPath()
	}
	l, err := NewLauncher(helper, 0, "", "")
	must(t, err)
	defer l.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	spec.Streams.Output, spec.Streams.Error = w, w
	h, err := NewSessionLauncher(l, s, nil).Prepare(t.Context(), spec)
	var p port.Process
	if err == nil {
		p, err = h.Release(t.Context())
	}
	w.Close()
	if errors.Is(err, fs.ErrNotExist) {
		return "none: " + err.Error()
	}
	must(t, err)
	out, err := io.ReadAll(r)
	must(t, err)
	_, err = p.Wait(t.Context())
	must(t, err)
	return strings.Join(strings.Fields(string(out)), " ")
}

// session is one that the fake logind has.
type session struct {
	id         string
	uid        uint32
	properties map[string]any
}

func desk(id string, uid uint32, kind string) session {
	return session{id, uid, map[string]any{"Class": "user", "State": "active", "Active": true, "Type": kind, "Display": ""}}
}

// bus is a bus daemon of the test's own.
type bus struct{ path string }

func newBus(t testing.TB) bus {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bus")
	config := filepath.Join(t.TempDir(), "conf")
	must(t, os.WriteFile(config, []byte(`<busconfig><type>session</type><listen>unix:path=`+path+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`), 0o644))
	daemon := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config)
	daemon.Stderr = os.Stderr
	must(t, daemon.Start())
	t.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	eventually(t, "the bus listens", func() bool {
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return bus{path}
}

// with starts a logind with these sessions; one without properties has ended.
func (b bus) with(t testing.TB, sessions ...session) (path string) {
	t.Helper()
	conn, err := dbus.Connect("unix:path="+b.path, dbus.WithAuth(dbus.AuthExternal(strconv.Itoa(os.Getuid()))))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	f := &fakeLogind{}
	for i, s := range sessions {
		object := dbus.ObjectPath(logindPath + "/session/" + strconv.Itoa(i))
		f.listed = append(f.listed, listed{s.id, s.uid, "name", "seat0", object})
		if s.properties != nil {
			must(t, conn.Export(fakeProperties{s.properties}, object, "org.freedesktop.DBus.Properties"))
		}
	}
	user := struct {
		ID   string
		Path dbus.ObjectPath
	}{"3", "/"}
	must(t, conn.Export(fakeProperties{map[string]any{"Display": user}}, logindPath+"/user/_1000", "org.freedesktop.DBus.Properties"))
	must(t, conn.Export(loggedOut{}, logindPath+"/user/_1001", "org.freedesktop.DBus.Properties"))
	must(t, conn.Export(f, logindPath, logindManager))
	reply, err := conn.RequestName(logindName, dbus.NameFlagDoNotQueue)
	must(t, err)
	if reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply)
	}
	return b.path
}

type fakeLogind struct{ listed []listed }

func (f *fakeLogind) ListSessions() ([]listed, *dbus.Error) { return f.listed, nil }

func (f *fakeLogind) GetUser(uid uint32) (dbus.ObjectPath, *dbus.Error) {
	switch uid {
	case 1000:
		return logindPath + "/user/_1000", nil
	case 1001:
		return logindPath + "/user/_1001", nil
	}
	return "/", dbus.NewError(logindName+".NoSuchUser", nil)
}

// loggedOut is what the bus says of a user who is gone by the second question.
type loggedOut struct{}

func (loggedOut) Get(_, _ string) (dbus.Variant, *dbus.Error) {
	return dbus.Variant{}, dbus.NewError("org.freedesktop.DBus.Error.UnknownObject", []any{"Unknown object"})
}

type fakeProperties struct{ values map[string]any }

func (p fakeProperties) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	all := map[string]dbus.Variant{}
	for name, value := range p.values {
		all[name] = dbus.MakeVariant(value)
	}
	return all, nil
}

func (p fakeProperties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant(p.values[name]), nil
}

// BenchmarkSessions asks logind who is logged in, and looks up which session a process
// is in, which asks nobody where its cgroup says it.
func BenchmarkSessions(b *testing.B) {
	s := Sessions{bus: newBus(b).with(b, desk("1", 4242, "tty"), desk("2", 4243, "x11"))}
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			if all, err := s.List(b.Context()); err != nil || len(all) != 2 {
				b.Fatalf("%+v, %v", all, err)
			}
		}
	})
	b.Run("of-a-process", func(b *testing.B) {
		self := NewTree().Self()
		for b.Loop() {
			if _, err := s.Of(self); err != nil {
				b.Fatal(err)
			}
		}
	})
}

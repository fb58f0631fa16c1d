//go:build linux

package desktop

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"kpm/vmtests/apart"
)

// Who has a desktop, and in which session.
const (
	ann, annsSession = 4242, "21"
	bob, bobsSession = 4243, "22"
)

const systemBus = "/run/dbus/system_bus_socket"

// patience is how long anything may take that is waited for here.
const patience = 60 * time.Second

func TestMain(m *testing.M) {
	apart.Main(func() {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "desktop:", err)
			os.Exit(1)
		}
		status := m.Run()
		if status != 0 {
			os.Exit(status)
		}
	})
}

// furnish gives these tests a bus, runtime directories and X servers' sockets of their own.
func furnish() error {
	for _, dir := range []string{"/run/dbus", "/run/user", "/tmp/.X11-unix"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=1777"); err != nil {
			return fmt.Errorf("mount tmpfs on %s: %w", dir, err)
		}
	}
	for _, uid := range []uint32{ann, bob} {
		if err := apart.Person(uid); err != nil {
			return err
		}
		dir := "/run/user/" + strconv.Itoa(int(uid))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chown(dir, int(uid), int(uid)); err != nil {
			return err
		}
	}
	return nil
}

// seat is one person's X server.
type seat struct {
	t       *testing.T
	display string
	uid     uint32
}

// newSeat starts an X server of uid's own, and a window manager on it.
func newSeat(t *testing.T, uid uint32) *seat {
	t.Helper()
	numbers, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer numbers.Close()
	server := as(uid, "Xvfb", "-displayfd", "3", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset")
	server.ExtraFiles = []*os.File{theirs}
	runs(t, server)
	theirs.Close()
	number, err := bufio.NewReader(numbers).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb says no display: %v", err)
	}
	s := &seat{t, ":" + strings.TrimSpace(number), uid}
	manager := as(uid, "openbox", "--sm-disable")
	manager.Env = append(manager.Env, "DISPLAY="+s.display)
	runs(t, manager)
	return s
}

// as is a command that runs as uid.
func as(uid uint32, argv ...string) *exec.Cmd {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "HOME=/run/user/" + strconv.Itoa(int(uid)), "LANG=C.UTF-8"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}, Setsid: true}
	return cmd
}

// runs starts cmd and ends it with the test.
func runs(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// xdotool runs it on the seat, and returns what it printed.
func (s *seat) xdotool(args ...string) (string, error) {
	cmd := as(s.uid, append([]string{"xdotool"}, args...)...)
	cmd.Env = append(cmd.Env, "DISPLAY="+s.display)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// window is a dialog that is there. An id is another window's soon; who shows it is not.
type window struct {
	*seat
	id, pid, code string
}

// titled is how every dialog's title begins; its code follows.
const titled = "Keeper Privilege Manager - "

// windows are the dialogs that are there now.
func (s *seat) windows() (found []window) {
	out, err := s.xdotool("search", "--onlyvisible", "--name", "^"+titled)
	if err != nil {
		return nil // there is none
	}
	for _, id := range strings.Fields(out) {
		name, err := s.xdotool("getwindowname", id)
		code, is := strings.CutPrefix(name, titled)
		pid, noPID := s.xdotool("getwindowpid", id)
		if err == nil && noPID == nil && is {
			found = append(found, window{s, id, pid, code})
		}
	}
	return found
}

// dialog waits until there is exactly one dialog that is not one of others.
func (s *seat) dialog(others ...window) (w window) {
	s.t.Helper()
	eventually(s.t, "a dialog is shown", func() bool {
		for _, w = range s.windows() {
			known := false
			for _, other := range others {
				known = known || other.pid == w.pid
			}
			if !known {
				return true
			}
		}
		return false
	})
	return w
}

// types types text into the dialog, then keys.
func (w window) types(text string, keys ...string) {
	w.t.Helper()
	do := func(args ...string) {
		if out, err := w.xdotool(args...); err != nil {
			w.t.Fatalf("xdotool %s: %v: %s", args, err, out)
		}
	}
	do("windowactivate", "--sync", w.id)
	if text != "" {
		do("type", "--clearmodifiers", text)
	}
	for _, key := range keys {
		do("key", "--clearmodifiers", key)
	}
}

// closes asks the dialog to close, as the button in its frame does.
func (w window) closes() {
	w.t.Helper()
	w.types("", "alt+F4")
}

// goes waits until the dialog is gone.
func (w window) goes() {
	w.t.Helper()
	eventually(w.t, "the dialog is closed", func() bool {
		for _, there := range w.windows() {
			if there.pid == w.pid {
				return false
			}
		}
		return true
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// processes are those whose command line holds text, by pid.
func processes(text string) (found []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err == nil && bytes.Contains(line, []byte(text)) {
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(entry))); err == nil && pid != os.Getpid() {
				found = append(found, pid)
			}
		}
	}
	return found
}

// listed is a session in the answer of ListSessions (org.freedesktop.login1(5)).
type listed struct {
	ID   string
	UID  uint32
	Name string
	Seat string
	Path dbus.ObjectPath
}

// logind is a stand-in that knows graphical sessions.
type logind struct{ sessions []listed }

// ListSessions is what the service asks first.
func (l *logind) ListSessions() ([]listed, *dbus.Error) { return l.sessions, nil }

// properties are those of one session.
type properties map[string]any

// GetAll is what the service asks then.
func (p properties) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	all := map[string]dbus.Variant{}
	for name, value := range p {
		all[name] = dbus.MakeVariant(value)
	}
	return all, nil
}

// logsIn has people logged in at their seats, until the end of the test.
func logsIn(t *testing.T, seats map[string]*seat) {
	t.Helper()
	config := filepath.Join(t.TempDir(), "conf")
	if err := os.WriteFile(config, []byte(`<busconfig><type>session</type><listen>unix:path=`+systemBus+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`), 0o644); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--config-file="+config)
	runs(t, daemon)
	t.Cleanup(func() { _ = os.Remove(systemBus) })
	eventually(t, "the bus listens", func() bool {
		c, err := net.Dial("unix", systemBus)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	conn, err := dbus.Connect("unix:path="+systemBus, dbus.WithAuth(dbus.AuthExternal("0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	const name, path = "org.freedesktop.login1", "/org/freedesktop/login1"
	l := &logind{}
	for id, s := range seats {
		object := dbus.ObjectPath(path + "/session/_" + id)
		l.sessions = append(l.sessions, listed{id, s.uid, apart.Name(s.uid), "seat" + id, object})
		is := properties{"Class": "user", "State": "active", "Type": "x11", "Active": true, "Display": s.display}
		if err := conn.Export(is, object, "org.freedesktop.DBus.Properties"); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Export(l, path, name+".Manager"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
}

//go:build linux

package linux

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

func readAll(t testing.TB, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	must(t, err)
	return string(data)
}

func TestTerminalBelongsToItsOwner(t *testing.T) {
	for _, tc := range []struct{ rows, columns, wantRows, wantColumns uint16 }{
		{50, 132, 50, 132},
		{0, 0, 24, 80},
		{50, 0, 24, 80},
	} {
		made, err := (Terminals{}).Open(core.Identity{Account: otherAccount})
		must(t, err)
		defer made.Close()
		must(t, made.Resize(tc.rows, tc.columns))
		master, slave := made.(*terminal).master, made.(*terminal).slave
		size, err := unix.IoctlGetWinsize(int(master.Fd()), unix.TIOCGWINSZ)
		must(t, err)
		if size.Row != tc.wantRows || size.Col != tc.wantColumns {
			t.Errorf("size %dx%d, want %dx%d", size.Row, size.Col, tc.wantRows, tc.wantColumns)
		}
		info, err := slave.Stat()
		must(t, err)
		st := info.Sys().(*syscall.Stat_t)
		want := os.FileMode(0o620)
		if st.Gid == 0 {
			want = 0o600
		}
		if st.Uid != 4242 || info.Mode().Perm() != want {
			t.Errorf("owner %d, mode %o; want 4242, %o", st.Uid, info.Mode().Perm(), want)
		}
		settings, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
		must(t, err)
		if settings.Lflag&unix.ECHO == 0 || settings.Lflag&unix.ICANON == 0 || settings.Iflag&unix.IUTF8 == 0 {
			t.Errorf("settings %+v", settings)
		}
	}
}

func TestTerminalNeedsAnOwner(t *testing.T) {
	for _, user := range []core.UserID{"", "root", "-1", "4294967295"} {
		if _, err := (Terminals{}).Open(core.Identity{Account: core.Account{User: user}}); err == nil {
			t.Errorf("a terminal for %q", user)
		}
	}
}

// Whoever gets the master has the terminal: nothing of it stays here, or a
// command would never be hung up on.
func TestATerminalIsHandedOverOnce(t *testing.T) {
	made, err := (Terminals{}).Open(core.Identity{Account: rootAccount})
	must(t, err)
	slave := made.(*terminal).slave
	refused := errors.New("refused")
	var got []*os.File
	if err := made.HandOver(func(files ...*os.File) error { got = files; return refused }); !errors.Is(err, refused) {
		t.Errorf("send's error is lost: %v", err)
	}
	if len(got) != 1 {
		t.Fatalf("%d files were handed over", len(got))
	}
	for _, f := range []*os.File{got[0], slave} {
		if _, err := f.Stat(); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s is still open", f.Name())
		}
	}
	if err := made.Resize(1, 1); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("resize afterwards: %v", err)
	}
	if err := made.HandOver(func(...*os.File) error { return nil }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a second time: %v", err)
	}
	must(t, made.Close())
	must(t, made.Close())
}

func TestIsTerminal(t *testing.T) {
	made, err := (Terminals{}).Open(core.Identity{Account: rootAccount})
	must(t, err)
	defer made.Close()
	master, slave := made.(*terminal).master, made.(*terminal).slave
	null, err := os.Open(os.DevNull)
	must(t, err)
	defer null.Close()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	defer w.Close()
	closed, err := os.Open("/")
	must(t, err)
	must(t, closed.Close())
	for _, tc := range []struct {
		name string
		file *os.File
		want bool
	}{
		{"slave", slave, true},
		{"master", master, true},
		{"/dev/null", null, false},
		{"pipe", r, false},
		{"directory", handle(t, "/"), false},
		{"program", handle(t, "/usr/bin/env"), false},
		{"closed", closed, false},
	} {
		if got := (Terminals{}).IsTerminal(tc.file); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
		link, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(slave.Fd())))
		must(t, err)
		if name := (Terminals{}).Name(tc.file); tc.file == slave && "/dev/"+name != link || !tc.want && name != "" {
			t.Errorf("%s is called %q, the slave %q", tc.name, name, link)
		}
	}
}

const someDrivers = `/dev/tty             /dev/tty        5       0 system:/dev/tty
/dev/console         /dev/console    5       1 system:console
serial               /dev/ttyS       4 64-67 serial
broken line
`

func TestDriverOwns(t *testing.T) {
	for _, tc := range []struct {
		major, minor uint32
		want         bool
	}{
		{5, 0, true}, {5, 1, true}, {5, 2, false}, {4, 64, true}, {4, 67, true}, {4, 63, false}, {4, 68, false},
		{10, 203, false}, // CUSE
		{0, 0, false},
	} {
		if got := driverOwns(someDrivers, tc.major, tc.minor); got != tc.want {
			t.Errorf("%d:%d: %v, want %v", tc.major, tc.minor, got, tc.want)
		}
	}
}

func FuzzDriverOwns(f *testing.F) {
	f.Add(someDrivers, uint32(4), uint32(65))
	f.Fuzz(func(t *testing.T, drivers string, major, minor uint32) {
		if driverOwns(drivers, major, minor) && drivers == "" {
			t.Error("nothing owns a device")
		}
	})
}

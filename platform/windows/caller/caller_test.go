//go:build windows

package caller

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
	port "kpm/core/port/caller"
	"kpm/core/signal"
)

func TestDefaultRoot(t *testing.T) {
	if want := core.Windows.DefaultRoot(); defaultRoot != want {
		t.Errorf("%s, expected %s", defaultRoot, want)
	}
}

// A program is found with its ending or without, and its absence is told from
// what may not be opened.
func TestProgram(t *testing.T) {
	system, err := windows.GetSystemDirectory()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(system, "cmd.exe"), filepath.Join(system, "cmd")} {
		handle, err := handles{}.Program(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		windows.CloseHandle(windows.Handle(handle))
	}
	if _, err := (handles{}).Program(filepath.Join(system, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if _, err := (handles{}).Program("a\x00b"); err == nil {
		t.Error("a name with NUL was opened")
	}
}

// A stream that is not there is the null device: the service is handed three.
func TestStandardStreams(t *testing.T) {
	before, err := windows.GetStdHandle(windows.STD_INPUT_HANDLE)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.SetStdHandle(windows.STD_INPUT_HANDLE, before)
	if err := windows.SetStdHandle(windows.STD_INPUT_HANDLE, 0); err != nil {
		t.Fatal(err)
	}
	all := handles{}.Standard()
	for i, handle := range all {
		if handle == 0 {
			t.Errorf("stream %d is missing", i)
		}
	}
	null := os.NewFile(all[0], "standard input")
	defer null.Close()
	if n, err := null.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d, %v", n, err)
	}
}

// What cannot be connected to says what to do.
func TestConnectExplains(t *testing.T) {
	root := t.TempDir()
	if err := (&connection{}).Connect(root); err == nil || !strings.Contains(err.Error(), "sc.exe start") {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(filepath.Join(root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "run", "door.sock"), []byte(`\\.\pipe\lsass`+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := (&connection{}).Connect(root); err == nil || !strings.Contains(err.Error(), "nothing was asked") {
		t.Errorf("%v", err)
	}
}

func TestEventsOfAConsole(t *testing.T) {
	for event, want := range map[uint32]signal.Signal{
		windows.CTRL_C_EVENT: signal.Interrupt, windows.CTRL_BREAK_EVENT: signal.Quit,
		windows.CTRL_CLOSE_EVENT: signal.Hangup, windows.CTRL_LOGOFF_EVENT: signal.Hangup, windows.CTRL_SHUTDOWN_EVENT: signal.Hangup,
	} {
		if got := meant(event); got != want || !got.Forwarded() {
			t.Errorf("%d is %s, expected %s", event, got, want)
		}
	}
}

// A question that is cancelled before anybody answers returns.
func TestACancelledQuestion(t *testing.T) {
	c := &console{service: &connection{}}
	if answer, outcome := c.Ask(port.Question{Text: "Why? "}, 0, func() bool { return true }); answer != "" || outcome != port.Cancelled {
		t.Errorf("%q, %v", answer, outcome)
	}
}

// Keys that are two units come whole, however they were read; half a pair that nothing
// completes is no character.
func TestWhatIsTyped(t *testing.T) {
	for _, c := range []struct {
		units []uint16
		text  string
		half  uint16
	}{
		{[]uint16{'a', 'b'}, "ab", 0},
		{[]uint16{3}, "\x03", 0}, // Ctrl-C
		{[]uint16{0x1b, '[', 'A'}, "\x1b[A", 0},
		{[]uint16{'a', 0xd83d}, "a", 0xd83d},
		{[]uint16{0xd83d}, "", 0xd83d},
		{[]uint16{0xd83d, 0xde00, 'b'}, "\U0001f600b", 0},
		{[]uint16{0xd83d, 'b'}, "\ufffdb", 0},
		{[]uint16{0xde00}, "\ufffd", 0},
	} {
		if text, half := whole(c.units); text != c.text || half != c.half {
			t.Errorf("%x: %q and %x, expected %q and %x", c.units, text, half, c.text, c.half)
		}
	}
}

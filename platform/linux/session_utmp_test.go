//go:build linux

package linux

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// record is one of utmp's.
func record(t testing.TB, kind int16, line, user string, pid int) []byte {
	t.Helper()
	r := utmpRecord{Type: kind, PID: int32(pid)}
	copy(r.Line[:], line)
	copy(r.User[:], user)
	var b bytes.Buffer
	must(t, binary.Write(&b, binary.NativeEndian, r))
	return append(b.Bytes(), make([]byte, utmpSize()-b.Len())...)
}

// openTerminal makes a pseudo terminal that belongs to uid, and returns its line.
func openTerminal(t *testing.T, uid int) (line string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	t.Cleanup(func() { master.Close() })
	must(t, unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	must(t, err)
	line = "pts/" + strconv.Itoa(number)
	must(t, os.Chown("/dev/"+line, uid, -1))
	return line
}

func TestSessionsOfUtmp(t *testing.T) {
	mine, theirs, rootLine := openTerminal(t, 1000), openTerminal(t, 1002), openTerminal(t, 0)
	devices := t.TempDir()
	must(t, os.WriteFile(filepath.Join(devices, "file"), nil, 0o644))
	must(t, os.Symlink("/dev/"+mine, filepath.Join(devices, "link")))
	must(t, os.Chown(filepath.Join(devices, "file"), 1000, -1))
	must(t, os.Lchown(filepath.Join(devices, "link"), 1000, -1))
	self, gone := os.Getpid(), 1<<22-1
	session := core.Session{ID: core.SessionID(mine), User: "1000", Active: true}
	for name, tc := range map[string]struct {
		record  []byte
		devices string
		want    []core.Session
	}{
		"a user":                  {record: record(t, 7, mine, "alice", self), want: []core.Session{session}},
		"twice on one terminal":   {record: append(record(t, 7, mine, "bare", self), record(t, 7, mine, "alice", self)...), want: []core.Session{session}},
		"cut short behind it":     {record: append(record(t, 7, mine, "alice", self), 7, 0, 0), want: []core.Session{session}},
		"who has logged out":      {record: record(t, 8, mine, "alice", self)},
		"a process that is gone":  {record: record(t, 7, mine, "alice", gone)},
		"another user's terminal": {record: record(t, 7, theirs, "alice", self)},
		"a terminal of root's":    {record: record(t, 7, rootLine, "alice", self)},
		"a user by number":        {record: record(t, 7, rootLine, "#0", self)},
		"nobody":                  {record: record(t, 7, mine, "", self)},
		"no account":              {record: record(t, 7, mine, "mallory", self)},
		"no terminal":             {record: record(t, 7, "pts/99999", "alice", self)},
		"a display":               {record: record(t, 7, ":0", "alice", self)},
		"a way up":                {record: record(t, 7, "../dev/"+mine, "alice", self)},
		"an absolute path":        {record: record(t, 7, "/dev/"+mine, "alice", self)},
		"what is no terminal":     {record: record(t, 7, "file", "alice", self), devices: devices},
		"a link to a terminal":    {record: record(t, 7, "link", "alice", self), devices: devices},
		"the first process":       {record: record(t, 7, mine, "alice", 1)},
		"a negative number":       {record: record(t, 7, mine, "alice", -self)},
	} {
		utmp := filepath.Join(t.TempDir(), "utmp")
		must(t, os.WriteFile(utmp, tc.record, 0o644))
		s := Sessions{bus: "/nonexistent", utmp: utmp, devices: tc.devices, accounts: accounts(t, passwdFile, groupFile)}
		if got, err := s.List(t.Context()); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: %+v, %v; expected %+v", name, got, err, tc.want)
		}
	}
}

// The session of a process is that of its controlling terminal, as the kernel has it.
func TestSessionByTerminal(t *testing.T) {
	line := openTerminal(t, 1000)
	var st unix.Stat_t
	must(t, unix.Stat("/dev/"+line, &st))
	utmp := filepath.Join(t.TempDir(), "utmp")
	must(t, os.WriteFile(utmp, record(t, 7, line, "alice", os.Getpid()), 0o644))
	s := Sessions{bus: "/nonexistent", utmp: utmp, accounts: accounts(t, passwdFile, groupFile)}
	number := deviceNumber(st.Rdev)
	stat := fmt.Appendf(nil, "4711 (a) b (c) S 1 4711 4711 %d 4711 0 0 0 0 0 0 0 0 0 0 0 0 0 99 0", int32(number))
	if got, ok := parseStat(4711, stat); !ok || got.terminal != number {
		t.Errorf("the terminal is %d, expected %d", got.terminal, number)
	}
	if id, err := s.ofTerminal(number); id != core.SessionID(line) || err != nil {
		t.Errorf("session %q, %v; expected %q", id, err, line)
	}
	for _, other := range []uint32{0, number + 1, number << 8} {
		if id, err := s.ofTerminal(other); id != "" || err != nil {
			t.Errorf("terminal %d: session %q, %v", other, id, err)
		}
	}
}

func FuzzParseUtmp(f *testing.F) {
	f.Add(record(f, 7, "pts/1", "alice", 700))
	f.Add(append(record(f, 7, "tty1", "root", 2), record(f, 8, "tty1", "root", 2)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		lines := map[string]bool{}
		for _, e := range parseUtmp(data, utmpSize()) {
			if e.pid <= 1 || e.user == "" || lines[e.line] || !filepath.IsLocal(e.line) {
				t.Errorf("%+v", e)
			}
			lines[e.line] = true
		}
	})
}

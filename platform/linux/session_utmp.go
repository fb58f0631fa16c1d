//go:build linux

package linux

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// utmpPath is where programs that log people in write it (utmp(5)).
const utmpPath = "/run/utmp"

// maxUtmp bounds what is read of it, in bytes: some ten thousand records.
const maxUtmp = 4 << 20

// utmpRecord is what is used of struct utmp(5), whose beginning is the same on all
// of our systems.
type utmpRecord struct {
	Type int16
	_    [2]byte
	PID  int32
	Line [32]byte
	ID   [4]byte
	User [32]byte
}

// userProcess is the type of a record of somebody who is logged in.
const userProcess = 7

// utmpSize is the length of a whole record in bytes: glibc's has 32-bit times on
// amd64 for the sake of 32-bit programs (bits/utmp.h), and none of that on arm64.
func utmpSize() int {
	if runtime.GOARCH == "arm64" {
		return 400
	}
	return 384
}

// fromUtmp returns the sessions on terminals. Their ids are the terminals' names.
// None is graphical: nothing in utmp proves whose a display is.
func (s Sessions) fromUtmp() ([]login, error) {
	name := cmp.Or(s.utmp, utmpPath)
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxUtmp))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var logins []login
	for _, record := range parseUtmp(data, utmpSize()) {
		session, err := s.onTerminal(record)
		if errors.Is(err, core.ErrNoAnswer) {
			return nil, fmt.Errorf("%s: user %q: %w", name, record.user, err)
		}
		if err == nil {
			logins = append(logins, login{Session: session})
		}
	}
	return logins, nil
}

// utmpEntry is one record of somebody who is logged in.
type utmpEntry struct {
	pid        int
	line, user string
}

// parseUtmp reads records of size bytes. What is cut short, or is no terminal's,
// is left out; of two records for one terminal the later counts.
func parseUtmp(data []byte, size int) (entries []utmpEntry) {
	at := map[string]int{}
	for ; len(data) >= size; data = data[size:] {
		var r utmpRecord
		if _, err := binary.Decode(data, binary.NativeEndian, &r); err != nil {
			return entries
		}
		e := utmpEntry{pid: int(r.PID), line: cString(r.Line[:]), user: cString(r.User[:])}
		if r.Type != userProcess || e.pid <= 1 || e.user == "" || !validLine(e.line) {
			continue
		}
		if i, twice := at[e.line]; twice {
			entries[i] = e
			continue
		}
		at[e.line] = len(entries)
		entries = append(entries, e)
	}
	return entries
}

func cString(b []byte) string {
	text, _, _ := bytes.Cut(b, []byte{0})
	return string(text)
}

// validLine reports whether a record's line is the name of a device below /dev,
// such as pts/3.
func validLine(line string) bool {
	return line != "" && filepath.IsLocal(line) && filepath.Clean(line) == line && !strings.ContainsFunc(line, func(r rune) bool {
		return r <= ' ' || r > '~' || r == ':'
	})
}

// onTerminal returns the session of a record.
//
// Attack: who may write to utmp (the group utmp) names another user, and records
// outlive those they are about. The terminal must belong to that user, as login(1)
// and sshd(8) see to, and the process must be there.
func (s Sessions) onTerminal(e utmpEntry) (core.Session, error) {
	// An empty environment is no user's: "#0" would be root.
	if strings.HasPrefix(e.user, "#") {
		return core.Session{}, core.ErrNoAccount
	}
	account, err := s.accounts.ByName(e.user)
	if err != nil {
		return core.Session{}, err
	}
	st, err := s.terminal(e.line)
	if err != nil {
		return core.Session{}, err
	}
	if userID(st.Uid) != account.User {
		return core.Session{}, fmt.Errorf("%s is user %d's, not %s's", e.line, st.Uid, e.user)
	}
	if _, err := startTicks(e.pid); err != nil {
		return core.Session{}, err
	}
	return core.Session{ID: core.SessionID(e.line), User: account.User, Active: true}, nil
}

func (s Sessions) terminal(line string) (st unix.Stat_t, err error) {
	path := filepath.Join(cmp.Or(s.devices, "/dev"), line)
	if err := unix.Lstat(path, &st); err != nil {
		return st, fmt.Errorf("%s: %w", path, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return st, fmt.Errorf("%s: not a terminal", path)
	}
	return st, nil
}

// ofTerminal returns the session on a controlling terminal, by its number in
// proc(5); 0 is none.
func (s Sessions) ofTerminal(number uint32) (core.SessionID, error) {
	if number == 0 {
		return "", nil
	}
	logins, err := s.fromUtmp()
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = errors.ErrUnsupported
		}
		return "", err
	}
	for _, l := range logins {
		if st, err := s.terminal(string(l.ID)); err == nil && deviceNumber(st.Rdev) == number {
			return l.ID, nil
		}
	}
	return "", nil
}

// deviceNumber is a device as /proc/PID/stat writes it (new_encode_dev of the
// kernel's linux/kdev_t.h).
func deviceNumber(device uint64) uint32 {
	major, minor := unix.Major(device), unix.Minor(device)
	return minor&0xff | major<<8 | (minor&^0xff)<<12
}

//go:build windows

package windows

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/eventlog"

	"kpm/core"
	"kpm/core/port"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o644))
}

// What administrators alone can change is Protected; what somebody else can, on the
// whole way to it, is not, and the error says what to do.
func TestProtected(t *testing.T) {
	files := Files{}
	dir := folder(t)
	program := filepath.Join(dir, "program.exe")
	write(t, program, "MZ")
	check := func(path string) error {
		f, err := files.Locate(path)
		must(t, err)
		defer f.Close()
		return files.Protected(f)
	}
	for _, path := range []string{program, dir, system("cmd.exe")} {
		if err := check(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	must(t, files.ProtectedRoot(dir))
	if err := files.ProtectedRoot(program); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("a file as the root: %v", err)
	}
	everybodyMay(t, program)
	if err := check(program); !errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), "icacls") {
		t.Errorf("a file that everybody can change: %v", err)
	}
	open := filepath.Join(dir, "open")
	must(t, os.Mkdir(open, 0o755))
	inner := filepath.Join(open, "inner.exe")
	write(t, inner, "MZ")
	everybodyMay(t, open)
	if err := check(inner); !errors.Is(err, core.ErrNotProtected) || !strings.Contains(err.Error(), open) {
		t.Errorf("in a folder that everybody can change: %v", err)
	}
	if _, err := files.ReadProtected(inner, 10); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("its contents: %v", err)
	}
}

// Names that are no paths of files on a disk of this machine are refused before
// anything is opened.
func TestPathsThatAreNone(t *testing.T) {
	for _, path := range []string{
		`\\server\share\x.exe`, `\\.\PhysicalDrive0`, `\\?\UNC\server\share\x`, `\\.\pipe\x`, "NUL", `x.exe`, `\x.exe`, `C:x.exe`, "",
		`C:\windows\system32\cmd.exe:stream`, `\\?\GLOBALROOT\Device\Null`,
	} {
		if f, err := (Files{}).Locate(path); err == nil {
			t.Errorf("%s was opened as %s", path, f.Name())
		}
		if _, err := (Files{}).LocateProtected(path); err == nil {
			t.Errorf("%s was found protected", path)
		}
	}
}

func TestReadProtected(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "settings.json")
	write(t, path, "12345")
	if got, err := (Files{}).ReadProtected(path, 5); err != nil || string(got) != "12345" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := (Files{}).ReadProtected(path, 4); !errors.Is(err, core.ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, err := (Files{}).ReadProtected(filepath.Join(dir, "none"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
	if _, err := (Files{}).ReadProtected(dir, 4); !errors.Is(err, core.ErrNotRegular) {
		t.Errorf("a folder: %v", err)
	}
	// Somebody who writes at this moment keeps everybody from reading half of it.
	writer, err := create(path, windows.OPEN_EXISTING, windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, "")
	must(t, err)
	defer writer.Close()
	if _, err := (Files{}).ReadProtected(path, 5); !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		t.Errorf("while it is written: %v", err)
	}
}

// A bare name is a program of the system's own folders, with its ending or without.
func TestFind(t *testing.T) {
	for _, name := range []string{"cmd", "cmd.exe", "CMD.EXE"} {
		f, err := Files{}.Find(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		info, err := Files{}.Inspect(f)
		if err != nil || !strings.EqualFold(info.Path, system("cmd.exe")) || !info.Regular || !info.Exec || info.Dir || info.Size == 0 || info.Owner == "" {
			t.Errorf("%s is %+v, %v", name, info, err)
		}
		f.Close()
	}
	for _, name := range []string{"", ".", "..", `..\cmd`, "nothing", "cmd.exe\x00", "drivers", `C:\windows\system32\cmd.exe`, "C:cmd.exe", "kernel32.dll"} {
		if f, err := (Files{}).Find(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q was found: %v, %v", name, f, err)
		}
	}
}

// A copy has the bytes, cannot be written to or removed while it is held, and is
// nobody's whom its original does not let execute it.
func TestCopy(t *testing.T) {
	dir := folder(t)
	text := bytes.Repeat([]byte("MZ and more "), 4*port.Piece/12)
	original := filepath.Join(dir, "original.exe")
	must(t, os.WriteFile(original, text, 0o755))
	src := open(t, original)
	steps := 0
	step := func() error { steps++; return nil }
	reader := core.Account{User: own().Account.User, Name: "me"}
	copied, sum, err := Files{}.Copy(t.Context(), src, dir, "original.exe", reader, step)
	must(t, err)
	want := sha256.Sum256(text)
	if got, err := io.ReadAll(copied); err != nil || !bytes.Equal(got, text) || sum != hex.EncodeToString(want[:]) || steps < 4 {
		t.Errorf("%d bytes, %s, %d steps, %v", len(got), sum, steps, err)
	}
	if !strings.HasSuffix(copied.Name(), "-original.exe") {
		t.Errorf("it is called %s", copied.Name())
	}
	if f, err := os.OpenFile(copied.Name(), os.O_WRONLY, 0); err == nil {
		f.Close()
		t.Error("it could be written to")
	}
	if err := os.Remove(copied.Name()); err == nil {
		t.Error("it could be removed")
	}
	must(t, copied.Close())
	must(t, os.Remove(copied.Name()))

	full := errors.New("enough")
	if _, _, err := (Files{}).Copy(t.Context(), src, dir, "x.exe", reader, func() error { return full }); !errors.Is(err, full) {
		t.Errorf("a step that fails: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := (Files{}).Copy(ended, src, dir, "x.exe", reader, step); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	for _, base := range []string{"", `a\b`, "a:b", "a/b", "a\x00"} {
		if _, _, err := (Files{}).Copy(t.Context(), src, dir, base, reader, step); err == nil {
			t.Errorf("the name %q was accepted", base)
		}
	}
	left, err := os.ReadDir(dir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("what failed has left %v", left)
	}
}

// The new contents replace the old ones at once, and nothing is left beside them.
func TestWriteAtomic(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "ports.json")
	for _, text := range []string{"first", "second, and longer", ""} {
		must(t, Files{}.WriteAtomic(path, []byte(text), 0o644))
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	must(t, Files{}.WriteAtomic(filepath.Join(dir, "secret"), []byte("x"), 0o600))
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 {
		t.Errorf("%v", entries)
	}
	if err := (Files{}).WriteAtomic(filepath.Join(dir, "none", "x"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}

func TestLock(t *testing.T) {
	path := filepath.Join(folder(t), "service.lock")
	lock, err := Files{}.Lock(path)
	must(t, err)
	if _, err := (Files{}).Lock(path); !errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		t.Errorf("twice: %v", err)
	}
	must(t, lock.Close())
	lock, err = Files{}.Lock(path)
	must(t, err)
	must(t, lock.Close())
}

// A secret's file is private if administrators alone can read it.
func TestPrivate(t *testing.T) {
	path := filepath.Join(folder(t), "key")
	write(t, path, "secret")
	everybodyMay(t, path)
	if err := (Files{}).Private(open(t, path)); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("a file that everybody can read: %v", err)
	}
}

// Accounts are found by name and SID, and groups by what they are called.
func TestAccounts(t *testing.T) {
	me := own().Account.User
	account, err := Accounts{}.ByID(me)
	must(t, err)
	if account.User != me || account.Name == "" || account.Group == "" || !slices.Contains(account.Groups, "S-1-1-0") {
		t.Errorf("%+v", account)
	}
	for _, name := range append(account.OtherNames, account.Name, "#"+string(me)) {
		if found, err := (Accounts{}).ByName(name); err != nil || found.User != me {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	admins, err := Accounts{}.ByID(administrators)
	if err != nil || admins.User != administrators || admins.Name == "" {
		t.Errorf("administrators: %+v, %v", admins, err)
	}
	for _, id := range []core.UserID{"", "0", "S-1", "S-1-5-21-1-2-3-4", "S-1-1-0", "1000"} {
		if found, err := (Accounts{}).ByID(id); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%q: %+v, %v", id, found, err)
		}
	}
	for _, name := range []string{"", "nobody of this name", "#", "#1000", "Everyone"} {
		if found, err := (Accounts{}).ByName(name); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%q: %+v, %v", name, found, err)
		}
	}
	names, err := Accounts{}.GroupNames([]string{string(administrators), "S-1-1-0", "S-1-5-21-1-2-3-4", "no SID"})
	if err != nil || len(names) != 2 || !slices.Contains(names["S-1-1-0"], "Everyone") || len(names[string(administrators)]) == 0 {
		t.Errorf("%v, %v", names, err)
	}
	if (Accounts{}).Share(me) != me {
		t.Error("somebody else pays")
	}
}

// An administrator, whom a request means that names nobody, is the person who
// asks.
func TestWhoAnAdministratorIs(t *testing.T) {
	as, err := asWhom(core.Identity{RunAs: core.AsUserElevated, Account: core.Account{User: administrators}, Login: "S-1-5-21-1", Session: "1"})
	if err != nil || as.Account.User != "S-1-5-21-1" || as.Session != "1" {
		t.Errorf("%+v, %v", as, err)
	}
	for _, as := range []core.Identity{
		{RunAs: core.AsUserElevated, Account: core.Account{User: administrators}},
		{RunAs: core.AsUser, Account: core.Account{User: administrators}, Login: "S-1-5-21-1"},
		{RunAs: core.AsService, Account: core.Account{User: administrators}, Login: "S-1-5-21-1"},
	} {
		if as, err := asWhom(as); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%+v, %v", as, err)
		}
	}
	other := core.Identity{RunAs: core.AsUser, Account: core.Account{User: "S-1-5-21-2"}}
	if as, err := asWhom(other); err != nil || as.Account.User != other.Account.User {
		t.Errorf("%+v, %v", as, err)
	}
}

// The session of whoever is logged in is listed, and this process is in it.
func TestSessions(t *testing.T) {
	sessions, err := Sessions{}.List(t.Context())
	must(t, err)
	mine, err := Sessions{}.Of(NewTree().Self())
	must(t, err)
	if !slices.ContainsFunc(sessions, func(s core.Session) bool {
		return s.ID == mine && s.User == own().Account.User && s.Graphical && s.Active
	}) {
		t.Errorf("%+v, this process is in %q", sessions, mine)
	}
	if _, err := (Sessions{}).Of(core.ProcessID{PID: os.Getpid(), Start: 1}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an earlier process of the same pid: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Sessions{}).List(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The event log takes warnings, errors and what is about requests.
func TestEvents(t *testing.T) {
	for line, want := range map[string]struct {
		level  uint16
		number uint32
		worth  bool
	}{
		`time=x level=INFO msg="request opened" component=launcher request=ABC user=x`: {eventlog.Info, eventRequest, true},
		`time=x level=INFO msg="request ended" request=ABC state=Ended`:                {eventlog.Info, eventRequest, true},
		`time=x level=ERROR msg="job failed" request=ABC`:                              {eventlog.Error, eventRequest, true},
		`time=x level=WARN msg="port in use"`:                                          {eventlog.Warning, eventService, true},
		`time=x level=INFO msg=ready http=1`:                                           {eventlog.Info, eventService, true},
		`time=x level=INFO msg=stopping`:                                               {eventlog.Info, eventService, true},
		`time=x level=INFO msg="TLS certificate"`:                                      {eventlog.Info, eventService, false},
	} {
		if level, number, worth := classify(line); level != want.level || number != want.number || worth != want.worth {
			t.Errorf("%s: %d, %d, %v", line, level, number, worth)
		}
	}
	log, err := OpenEventLog()
	must(t, err)
	line := "level=WARN msg=" + strings.Repeat("long ", 20_000) + "\n"
	if n, err := log.Write([]byte(line)); n != len(line) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	must(t, log.Close())
}

// Who runs something is told from who runs nothing.
func TestWhoRunsSomething(t *testing.T) {
	if used, err := runsAs(own().Account.User); err != nil || !used {
		t.Errorf("this process's user: %v, %v", used, err)
	}
	if used, err := runsAs(stranger); err != nil || used {
		t.Errorf("a stranger: %v, %v", used, err)
	}
	if used, err := (TransientAccounts{}).Used(1); err != nil || used {
		t.Errorf("an account that there is not: %v, %v", used, err)
	}
}

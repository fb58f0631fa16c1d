//go:build windows

package windows

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/windows/file"
)

// stranger is nobody's SID.
const stranger = core.UserID("S-1-5-21-1-2-3-4321")

func opened(t *testing.T, path string) port.AccessFile {
	t.Helper()
	f, err := AccessLists{}.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// An entry is put into a file's list and taken out again, and the list is what it was.
func TestAccessLists(t *testing.T) {
	path := filepath.Join(folder(t), "secret.txt")
	write(t, path, "secret")
	var lists AccessLists
	f := opened(t, filepath.ToSlash(path))
	if info := f.Info(); info.Path != path || !info.Regular || info.Exec || info.Size != 6 || info.Owner == "" {
		t.Errorf("%+v", info)
	}
	before, err := f.Read()
	must(t, err)
	for _, access := range []core.Access{core.Denied, core.ReadWrite} {
		after, err := lists.With(before, stranger, access)
		must(t, err)
		if bytes.Equal(after, before) {
			t.Errorf("%v: nothing has changed", access)
		}
		back, err := lists.Without(after, before, stranger)
		if err != nil || !bytes.Equal(back, before) {
			t.Errorf("%v: given back it is % x, %v; expected % x", access, back, err, before)
		}
		err = f.Write(after)
		if wine() {
			// It makes modes of Linux out of lists, which have no room for anybody.
			if !errors.Is(err, ErrListNotKept) {
				t.Errorf("%v: %v, expected ErrListNotKept", access, err)
			}
		} else {
			must(t, err)
			if now, err := f.Read(); err != nil || !bytes.Equal(now, after) {
				t.Errorf("%v: % x, %v; expected % x", access, now, err, after)
			}
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != "secret" {
			t.Errorf("who was not named reads %q, %v", data, err)
		}
		must(t, f.Write(before))
	}
	if now, err := f.Read(); err != nil || !bytes.Equal(now, before) {
		t.Errorf("in the end it is % x, %v; expected % x", now, err, before)
	}
	for _, user := range []core.UserID{"", "1000", "S-1-5-x"} {
		if _, err := lists.With(before, user, core.Denied); !errors.Is(err, core.ErrNoAccount) {
			t.Errorf("%q: %v", user, err)
		}
	}
	if _, err := lists.With([]byte("no list"), stranger, core.Denied); err == nil {
		t.Error("no list was changed")
	}
}

// A file is found again by what it is, whatever it is called by then.
func TestAFileThatHasMoved(t *testing.T) {
	dir := folder(t)
	path, other := filepath.Join(dir, "data"), filepath.Join(dir, "elsewhere")
	write(t, path, "x")
	var lists AccessLists
	ref := opened(t, path).Ref()
	again, err := lists.Reopen(ref)
	must(t, err)
	if !again.Ref().Same(ref) {
		t.Errorf("%+v, expected %+v", again.Ref(), ref)
	}
	must(t, again.Close())
	must(t, os.Rename(path, other))
	write(t, path, "another one")
	moved, err := lists.Reopen(ref)
	if err == nil {
		if at := moved.Info().Path; at != other || !moved.Ref().Same(ref) {
			t.Errorf("it is at %s, expected %s", at, other)
		}
		moved.Close()
	} else if !wine() { // Wine opens nothing by an identity of 128 bits
		t.Error(err)
	}
	ref.Handle = nil
	if _, err := lists.Reopen(ref); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("without an identity: %v", err)
	}
}

// What is no file, or lies where somebody could exchange it, has no list that we
// change. Each error says what to do, or what it is.
func TestFilesWithoutAList(t *testing.T) {
	dir := folder(t)
	path := filepath.Join(dir, "data")
	write(t, path, "x")
	for what, c := range map[string]struct {
		path string
		want error
	}{
		"a folder":        {dir, core.ErrNotRegular},
		"a drive":         {`C:\`, core.ErrNotRegular},
		"nothing":         {filepath.Join(dir, "nothing"), fs.ErrNotExist},
		"a reserved name": {filepath.Join(dir, "NUL"), fs.ErrNotExist},
		"a stream":        {path + ":hidden", core.ErrNotProtected},
		"a device":        {`\\.\PhysicalDrive0`, core.ErrNotProtected},
		"a share":         {`\\server\share\data`, core.ErrNotProtected},
		"a relative path": {"data", core.ErrNotProtected},
		"below a file":    {path + `\x`, fs.ErrNotExist},
		"empty":           {"", core.ErrNotProtected},
	} {
		f, err := AccessLists{}.Open(c.path)
		if err == nil {
			f.Close()
		}
		if !errors.Is(err, c.want) || !strings.HasPrefix(err.Error(), "files: ") {
			t.Errorf("%s: %v, expected %v", what, err, c.want)
		}
	}
	if _, err := (file.Files{}).OpenID(file.ID{Volume: 1}, path); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("of another disk: %v", err)
	}
}

func TestFilesBelow(t *testing.T) {
	dir := folder(t)
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	var want []string
	for _, name := range []string{"2", "1", `a\3`, `a\b\4`} {
		write(t, filepath.Join(dir, name), "x")
		want = append(want, filepath.Join(dir, name))
	}
	slices.Sort(want)
	var lists AccessLists
	if got, err := lists.Below(filepath.ToSlash(dir), 10); err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; expected %q", got, err, want)
	}
	if got, err := lists.Below(dir, 2); err == nil || len(got) != 2 {
		t.Errorf("two at most: %q, %v", got, err)
	}
	if got, err := lists.Below(filepath.Join(dir, "nothing"), 10); err != nil || len(got) != 0 {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := lists.Below(`\\server\share`, 10); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("a share: %v", err)
	}
}

// Who has an account here is one of the people, once; what is no person's is not there.
func TestPeople(t *testing.T) {
	people, err := AccessLists{}.People()
	must(t, err)
	me, err := tokenUser(windows.GetCurrentProcessToken())
	must(t, err)
	n := 0
	for _, p := range people {
		if p.User == me {
			n++
		}
		if !isPerson(p.User) {
			t.Errorf("%+v", p)
		}
	}
	if n != 1 && isPerson(me) {
		t.Errorf("%s is there %d times in %+v", me, n, people)
	}
	for sid, want := range map[core.UserID]bool{
		"S-1-5-21-1-2-3-1001": true, "S-1-12-1-1-2-3-4": true, "S-1-5-21-1-2-3-500": false,
		localSystem: false, administrators: false, "S-1-5-80-1-2-3-4-5": false, "1000": false,
	} {
		if isPerson(sid) != want {
			t.Errorf("%s: a person: %v", sid, !want)
		}
	}
}

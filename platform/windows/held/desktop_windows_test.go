package held

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/windows"

	"kpm/platform/windows/dacl"
)

// everybody has a list where Wine has none, which lets everybody in.
func everybody(t *testing.T, handle windows.Handle) {
	t.Helper()
	if _, err := dacl.Of(handle); !errors.Is(err, dacl.ErrNone) {
		return
	}
	world, err := dacl.ParseSID("S-1-1-0")
	if err != nil {
		t.Fatal(err)
	}
	if err := (dacl.List{}).Give(world, windows.GENERIC_ALL).Set(handle); err != nil {
		t.Fatal(err)
	}
}

func listed(t *testing.T, handle windows.Handle) []byte {
	t.Helper()
	l, err := dacl.Of(handle)
	if err != nil {
		t.Fatal(err)
	}
	data, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// A logon is in both lists as long as it is admitted, and then they are what they were.
func TestAdmit(t *testing.T) {
	user32 := windows.NewLazySystemDLL("user32.dll")
	station, err := openObject(user32.NewProc("OpenWindowStationW"), "winsta0")
	if err != nil {
		t.Fatal(err)
	}
	desktop, err := openObject(user32.NewProc("OpenDesktopW"), "default", 0)
	if err != nil {
		t.Fatal(err)
	}
	const text = "S-1-5-5-123-456"
	logon, err := dacl.ParseSID(text)
	if err != nil {
		t.Fatal(err)
	}
	var before [2][]byte
	for i, handle := range []windows.Handle{station, desktop} {
		everybody(t, handle)
		before[i] = listed(t, handle)
	}
	undo, err := Admit(text)
	if err != nil {
		t.Fatal(err)
	}
	for i, handle := range []windows.Handle{station, desktop} {
		if !bytes.Contains(listed(t, handle), logon) {
			t.Errorf("%d: the logon is not in the list", i)
		}
	}
	if err := undo(); err != nil {
		t.Fatal(err)
	}
	for i, handle := range []windows.Handle{station, desktop} {
		if now := listed(t, handle); !bytes.Equal(now, before[i]) {
			t.Errorf("%d: % x, expected % x", i, now, before[i])
		}
	}
	for _, sid := range []string{"S-1-1-0", "S-1-5-18", "", "S-1-5-5-0"} {
		if _, err := Admit(sid); err == nil {
			t.Errorf("%q was admitted", sid)
		}
	}
}

package lua

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

// blob is data with texts at some place, each with a NUL behind it.
func blob(before []byte, texts ...string) []byte {
	for _, text := range texts {
		for _, unit := range append(utf16.Encode([]rune(text)), 0) {
			before = binary.LittleEndian.AppendUint16(before, unit)
		}
	}
	return before
}

func TestWhatWindowsIsAsked(t *testing.T) {
	header := []byte{1, 0, 0, 0, 0x58, 1, 0, 0, 0xd4, 0x11, 0, 0}
	for name, c := range map[string]struct {
		data []byte
		want Request
	}{
		"file and command line": {
			blob(header, `C:\Windows\System32\mmc.exe`, `"C:\Windows\System32\mmc.exe" "C:\Windows\system32\compmgmt.msc"`),
			Request{`C:\Windows\System32\mmc.exe`, `"C:\Windows\System32\mmc.exe" "C:\Windows\system32\compmgmt.msc"`},
		},
		"in the other order": {
			blob(header, `"D:\Setup files\a.exe" /quiet`, "WinSta0\\Default", `D:\Setup files\a.exe`),
			Request{`D:\Setup files\a.exe`, `"D:\Setup files\a.exe" /quiet`},
		},
		"a command line alone": {blob(nil, `"c:\x y\a.exe" -p`), Request{`c:\x y\a.exe`, `"c:\x y\a.exe" -p`}},
		"a file alone":         {blob(header, `C:\ä😀\a.msi`), Request{`C:\ä😀\a.msi`, ""}},
		"at an odd place":      {blob([]byte{7}, `C:\a.exe`), Request{`C:\a.exe`, ""}},
		"the long form":        {blob(header, `\\?\C:\deep\a.exe`), Request{`C:\deep\a.exe`, ""}},
		"without a NUL at the end": {
			blob(header, `C:\a.exe`)[:len(header)+16], Request{`C:\a.exe`, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Decode(c.data)
			if err != nil || got != c.want {
				t.Errorf("%+v, %v; expected %+v", got, err, c.want)
			}
		})
	}
	for name, data := range map[string][]byte{
		"nothing": nil, "a byte": {1}, "zeros": make([]byte, 64), "no path": blob(header, "consent", "C:", `C:\`, `\\server\share\a.exe`, `1:\x`),
		"bytes and no UTF-16": []byte(`C:\Windows\System32\mmc.exe`),
	} {
		if got, err := Decode(data); !errors.Is(err, ErrNotAsked) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(blob(nil, `C:\a.exe`, `"C:\a.exe" b`))
	f.Add([]byte{0, 'C', 0, ':', 0, '\\', 0, 'x', 0xd8})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if (err == nil) == (r.Path == "") {
			t.Fatalf("%+v, %v", r, err)
		}
		for _, text := range []string{r.Path, r.CommandLine} {
			if !utf8.ValidString(text) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' }) || len(utf16.Encode([]rune(text))) > maxText {
				t.Fatalf("%q", text)
			}
		}
	})
}

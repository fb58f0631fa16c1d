package dialog

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"

	"kpm/core/dialog"
)

// reader reads a template as Windows does (learn.microsoft.com, "DLGTEMPLATE structure").
type reader struct {
	t *testing.T
	b []byte
	n int
}

func (r *reader) u16() uint16 {
	r.n += 2
	return binary.LittleEndian.Uint16(r.b[r.n-2:])
}

func (r *reader) u32() uint32 {
	r.n += 4
	return binary.LittleEndian.Uint32(r.b[r.n-4:])
}

func (r *reader) text() string {
	var all []uint16
	for c := r.u16(); c != 0; c = r.u16() {
		all = append(all, c)
	}
	return string(utf16.Decode(all))
}

// item is one control of a dialog.
type item struct {
	style     uint32
	id, class uint16
	title     string
}

func read(t *testing.T, b []byte) (title string, items []item) {
	t.Helper()
	r := &reader{t: t, b: b}
	r.u32()
	r.u32()
	n := r.u16()
	for range 4 {
		r.u16()
	}
	if menu, class := r.u16(), r.u16(); menu != 0 || class != 0 {
		t.Fatalf("menu %d, class %d", menu, class)
	}
	title = r.text()
	r.u16()
	r.text()
	for range n {
		r.n = (r.n + 3) &^ 3
		one := item{style: r.u32()}
		r.u32()
		for range 4 {
			r.u16()
		}
		one.id = r.u16()
		if mark := r.u16(); mark != 0xFFFF {
			t.Fatalf("class %x", mark)
		}
		one.class, one.title = r.u16(), r.text()
		if extra := r.u16(); extra != 0 {
			t.Fatalf("%d bytes of creation data", extra)
		}
		items = append(items, one)
	}
	if r.n != len(b) {
		t.Errorf("%d of %d bytes read", r.n, len(b))
	}
	return title, items
}

func TestADialogHasWhatIsAsked(t *testing.T) {
	for kind, buttons := range map[dialog.Kind]string{
		dialog.KindCode: "Cancel OK", dialog.KindReason: "Cancel OK", dialog.KindRequest: "Cancel Ask", dialog.KindDecision: "Later Deny Approve",
	} {
		q := dialog.Question{Kind: kind, Code: "ABCDEF", Program: `C:\a&b\tool.exe`, Target: "Administrator", CommandLine: "tool ü\x00 😀", Text: "Why?", Secret: kind == dialog.KindCode}
		title, items := read(t, template(&q))
		if title != "Keeper Privilege Manager - ABCDEF" {
			t.Errorf("%s: %q", kind, title)
		}
		var found []string
		hidden, text := false, ""
		for _, one := range items {
			switch {
			case one.class == classButton:
				found = append(found, one.title)
				// Attack: Enter, which somebody types elsewhere, approves.
				if standard := one.style&bsDefault != 0; standard && (one.title == "Approve" || one.title == "Ask" || one.title == "Deny") {
					t.Errorf("%s: Enter chooses %s", kind, one.title)
				}
			case one.id == idEntry:
				hidden = one.style&esPassword != 0
			case one.id == idText:
				text = one.title
				if one.style&esReadOnly == 0 {
					t.Errorf("%s: what is shown can be edited", kind)
				}
			}
		}
		if got := strings.Join(found, " "); got != buttons || hidden != q.Secret {
			t.Errorf("%s: buttons %s, hidden %v", kind, got, hidden)
		}
		for _, want := range []string{"Program: C:\\a&b\\tool.exe\r\n", "Command: tool ü 😀\r\n", "\r\nWhy?"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is missing in %q", kind, want, text)
			}
		}
	}
}

func TestWhatAButtonMeans(t *testing.T) {
	for _, tc := range []struct {
		kind dialog.Kind
		id   int
		want dialog.Outcome
	}{
		{dialog.KindCode, idOK, dialog.Given}, {dialog.KindCode, idCancel, dialog.Declined}, {dialog.KindCode, idYes, dialog.Declined}, {dialog.KindCode, 0, dialog.Declined},
		{dialog.KindReason, idOK, dialog.Given}, {dialog.KindReason, -1, dialog.Declined},
		{dialog.KindRequest, idYes, dialog.Given}, {dialog.KindRequest, idOK, dialog.Declined}, {dialog.KindRequest, idCancel, dialog.Declined},
		{dialog.KindDecision, idYes, dialog.Approved}, {dialog.KindDecision, idNo, dialog.Denied}, {dialog.KindDecision, idCancel, dialog.Declined}, {dialog.KindDecision, idOK, dialog.Declined},
	} {
		if got := answer(tc.kind, tc.id, "text"); got.Outcome != tc.want || (got.Text != "") != (got.Outcome == dialog.Given && tc.kind != dialog.KindRequest) {
			t.Errorf("%s %d: %+v, expected %s", tc.kind, tc.id, got, tc.want)
		}
	}
}

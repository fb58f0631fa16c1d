// Package dialog shows questions on Windows' desktop by user32 itself. The template of a
// dialog is made here, on every system; nothing but a template, and what somebody has
// chosen, goes to Windows and back.
package dialog

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"kpm/core/dialog"
)

// Ids of what is in a dialog. What the keyboard's Enter and Escape choose are IDOK and
// IDCANCEL (learn.microsoft.com, "Dialog Box Keyboard Interface").
const (
	idOK     = 1
	idCancel = 2
	idText   = 100
	idEntry  = 101
	idYes    = 102
	idNo     = 103
)

// Styles (learn.microsoft.com, "Window Styles", "Edit Control Styles", "Button Styles",
// "Dialog Box Styles").
const (
	wsPopup, wsVisible, wsChild, wsCaption, wsSysMenu  = 0x80000000, 0x10000000, 0x40000000, 0x00C00000, 0x00080000
	wsBorder, wsVScroll, wsTabStop, wsExTopmost        = 0x00800000, 0x00200000, 0x00010000, 0x00000008
	esMultiline, esPassword, esAutoHScroll, esReadOnly = 0x0004, 0x0020, 0x0080, 0x0800
	bsDefault                                          = 0x0001
	dsSetFont, dsModalFrame, dsCenter, dsSetForeground = 0x0040, 0x0080, 0x0800, 0x0200
)

// Classes of items (learn.microsoft.com, "DLGITEMTEMPLATE structure").
const (
	classButton = 0x0080
	classEdit   = 0x0081
)

// template returns the dialog of q as DialogBoxIndirectParamW takes it
// (learn.microsoft.com, "DLGTEMPLATE structure"). The text is in an edit control that
// cannot be edited: a static one would take "&" for something else, and cut off what is
// too long.
func template(q *dialog.Question) []byte {
	const width, height = 320, 190
	t := &builder{}
	t.u32(wsPopup | wsVisible | wsCaption | wsSysMenu | dsSetFont | dsModalFrame | dsCenter | dsSetForeground)
	t.u32(wsExTopmost)
	count := len(t.b)
	t.u16(0) // of items, below
	t.box(0, 0, width, height)
	t.u16(0) // no menu
	t.u16(0) // the class of dialogs
	t.text(q.Title())
	t.u16(9) // points
	t.text("Segoe UI")

	items := uint16(0)
	item := func(style uint32, x, y, cx, cy int16, id, class uint16, title string) {
		t.align()
		t.u32(wsChild | wsVisible | style)
		t.u32(0)
		t.box(x, y, cx, cy)
		t.u16(id)
		t.u16(0xFFFF)
		t.u16(class)
		t.text(title)
		t.u16(0)
		items++
	}
	const button, cy, bottom = 70, 16, height - 24
	entry := q.Kind == dialog.KindCode || q.Kind == dialog.KindReason
	if entry {
		style := uint32(wsBorder | wsTabStop | esAutoHScroll)
		if q.Secret {
			style |= esPassword
		}
		item(style, 8, bottom-22, width-16, 14, idEntry, classEdit, "")
	}
	switch q.Kind {
	case dialog.KindDecision:
		item(wsTabStop|bsDefault, 8, bottom, button, cy, idCancel, classButton, "Later")
		item(wsTabStop, 84, bottom, button, cy, idNo, classButton, "Deny")
		item(wsTabStop, width-8-button, bottom, button, cy, idYes, classButton, "Approve")
	case dialog.KindRequest:
		item(wsTabStop|bsDefault, 8, bottom, button, cy, idCancel, classButton, "Cancel")
		item(wsTabStop, width-8-button, bottom, button, cy, idYes, classButton, "Ask")
	case dialog.KindNotice:
		item(wsTabStop|bsDefault, width-8-button, bottom, button, cy, idCancel, classButton, "OK")
	default:
		item(wsTabStop, 8, bottom, button, cy, idCancel, classButton, "Cancel")
		item(wsTabStop|bsDefault, width-8-button, bottom, button, cy, idOK, classButton, "OK")
	}
	room := int16(bottom - 16)
	if entry {
		room -= 22
	}
	item(esMultiline|esReadOnly|wsVScroll, 8, 8, width-16, room, idText, classEdit, strings.Join(q.Lines(), "\r\n"))
	binary.LittleEndian.PutUint16(t.b[count:], items)
	return t.b
}

// answer is what it means that somebody has chosen id, with text entered.
func answer(kind dialog.Kind, id int, text string) dialog.Answer {
	switch entry := kind == dialog.KindCode || kind == dialog.KindReason; {
	case id == idOK && entry:
		return dialog.Answer{Outcome: dialog.Given, Text: text}
	case id == idYes && kind == dialog.KindRequest:
		return dialog.Answer{Outcome: dialog.Given}
	case id == idYes && kind == dialog.KindDecision:
		return dialog.Answer{Outcome: dialog.Approved}
	case id == idNo && kind == dialog.KindDecision:
		return dialog.Answer{Outcome: dialog.Denied}
	}
	return dialog.Answer{Outcome: dialog.Declined}
}

// builder appends what templates consist of.
type builder struct{ b []byte }

func (t *builder) u16(v uint16) { t.b = binary.LittleEndian.AppendUint16(t.b, v) }
func (t *builder) u32(v uint32) { t.b = binary.LittleEndian.AppendUint32(t.b, v) }

func (t *builder) box(x, y, cx, cy int16) {
	for _, v := range []int16{x, y, cx, cy} {
		t.u16(uint16(v))
	}
}

// text appends a text, which ends at its first NUL.
func (t *builder) text(s string) {
	for _, c := range utf16.Encode([]rune(strings.ReplaceAll(s, "\x00", ""))) {
		t.u16(c)
	}
	t.u16(0)
}

func (t *builder) align() {
	for len(t.b)%4 != 0 {
		t.b = append(t.b, 0)
	}
}

package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"unicode/utf8"
)

// space is what may stand between values (RFC 8259, section 2).
const space = " \t\r\n"

// text is a document that encoding/json has found valid.
type text struct {
	data  []byte
	index func() []mark
}

// Parse reads data, at most limit bytes, as one JSON value. A byte order mark,
// which editors on Windows write, is skipped. The error is an *Error. data must
// not change as long as the value is used.
func Parse(data []byte, limit int) (Value, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	switch {
	case len(data) > limit:
		return Value{}, &Error{Problem: TooLong, Found: fmt.Sprintf("the file is longer than %d bytes", limit), Expected: "less"}
	case !utf8.Valid(data):
		return Value{}, &Error{Problem: NotUTF8, Found: "the text is not UTF-8", Expected: "JSON in UTF-8"}
	}
	t := &text{data: data}
	t.index = sync.OnceValue(t.marks)
	if !json.Valid(data) {
		return Value{}, t.syntaxError()
	}
	v := Value{text: t}
	v.start, v.end = v.skipSpace(0), len(bytes.TrimRight(data, space))
	return v, nil
}

func (t *text) syntaxError() *Error {
	e := &Error{Problem: NotJSON, Expected: "a JSON object"}
	var never any
	e.Err = json.Unmarshal(t.data, &never)
	var syntax *json.SyntaxError
	if errors.As(e.Err, &syntax) {
		// Offset counts the bytes read, the one at fault included.
		at := max(0, int(syntax.Offset)-1)
		e.Line, e.Column = t.place(at)
		e.Remedy = t.commaBefore(at)
	}
	if len(bytes.TrimSpace(t.data)) == 0 {
		e.Found = "the file is empty"
	} else {
		e.Found = fmt.Sprintf("the file is not JSON (%v)", e.Err)
	}
	return e
}

// commaBefore says what to do about a comma behind the last entry of an object or a list,
// which most editors and languages let pass: at is where JSON ends it, and another entry was
// due. It says nothing of whatever else is wrong there.
func (t *text) commaBefore(at int) string {
	if at >= len(t.data) || t.data[at] != '}' && t.data[at] != ']' {
		return ""
	}
	before := bytes.TrimRight(t.data[:at], space)
	if !bytes.HasSuffix(before, []byte(",")) {
		return ""
	}
	where := ""
	line, _ := t.place(at)
	if comma, _ := t.place(len(before) - 1); comma != line {
		where = fmt.Sprintf(", in line %d", comma)
	}
	return fmt.Sprintf("remove the comma before the %q%s", t.data[at:at+1], where)
}

// blockSize is the distance of marks in bytes: finding a place looks at one
// block, however long the text is.
const blockSize = 4096

// mark is what is known at the beginning of a block: how many lines end before
// it, and where its own line starts.
type mark struct{ lines, lineStart int }

func (t *text) marks() []mark {
	list := make([]mark, 0, len(t.data)/blockSize+1)
	var m mark
	for at := 0; ; at += blockSize {
		list = append(list, m)
		if at+blockSize > len(t.data) {
			return list
		}
		m = m.after(t.data, at, at+blockSize)
	}
}

// after is the mark at to, if m is the one at from.
func (m mark) after(data []byte, from, to int) mark {
	block := data[from:to]
	if last := bytes.LastIndexByte(block, '\n'); last >= 0 {
		m.lines += bytes.Count(block, []byte{'\n'})
		m.lineStart = from + last + 1
	}
	return m
}

// place returns line and column, both from 1, columns in bytes.
func (t *text) place(offset int) (line, column int) {
	list := t.index()
	block := offset / blockSize
	m := list[block].after(t.data, block*blockSize, offset)
	return m.lines + 1, offset - m.lineStart + 1
}

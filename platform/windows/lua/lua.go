// Package lua reads what Windows says of elevations: the events of its provider
// Microsoft-Windows-LUA (limited user access, which became User Account Control). It is
// pure: it opens no trace.
package lua

import (
	"encoding/binary"
	"errors"
	"unicode/utf16"
)

// Asked is the number of the event by which the program that asks people says what it
// asks about: the task ConsentUI_LEASVC, of Windows 10 and 11.
const Asked = 15028

// ErrNotAsked is wrapped for data in which there is no program.
var ErrNotAsked = errors.New("no program is named in the event")

// maxText bounds a path and a command line, in UTF-16 units, as Windows does.
const maxText = 32767

// Request is what Windows was asked to elevate.
type Request struct {
	// Path is the program's file, or the one that it opens.
	Path string
	// CommandLine is what it would be started with, empty if that was not said.
	CommandLine string
}

// Decode reads the data of an event Asked.
//
// The manifest declares one opaque field, of which nothing is published but that there
// are texts in it: the file, and the command line, which begins with the file in quotes.
// So they are found by what they begin with, a drive, wherever they lie. What is found
// is shown to people and decides nothing.
func Decode(data []byte) (Request, error) {
	for start := range 2 { // texts may lie at odd places
		if r, found := decode(units(data[min(start, len(data)):])); found {
			return r, nil
		}
	}
	return Request{}, ErrNotAsked
}

func decode(text []uint16) (r Request, found bool) {
	for at := 0; at < len(text); at++ {
		if !drive(text[at:]) {
			continue
		}
		begin, quoted := at, at > 0 && text[at-1] == '"'
		if quoted {
			begin--
		}
		end := at + 3
		for end < len(text) && text[end] >= ' ' && end-begin < maxText {
			end++
		}
		said := string(utf16.Decode(text[begin:end]))
		switch {
		case quoted && r.CommandLine == "":
			r.CommandLine = said
		case !quoted && r.Path == "":
			r.Path = said
		}
		at = end
	}
	if r.Path == "" {
		r.Path = quotedFirst(r.CommandLine)
	}
	return r, r.Path != ""
}

// drive reports whether text begins like C:\x.
func drive(text []uint16) bool {
	return len(text) > 3 && (text[0]|0x20 >= 'a' && text[0]|0x20 <= 'z') && text[1] == ':' && text[2] == '\\' && text[3] >= ' '
}

// quotedFirst is what stands between the first two quotes.
func quotedFirst(line string) string {
	for i := 1; i < len(line); i++ {
		if line[i] == '"' {
			return line[1:i]
		}
	}
	return ""
}

func units(data []byte) []uint16 {
	text := make([]uint16, len(data)/2)
	for i := range text {
		text[i] = binary.LittleEndian.Uint16(data[2*i:])
	}
	return text
}

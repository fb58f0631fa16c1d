package fault

import (
	"fmt"
	"strconv"
	"strings"

	"kpm/core/wire"
)

// Fault is one thing that is wrong with what somebody wrote.
type Fault struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`   // from 1; 0 when not known
	Column int    `json:"column,omitempty"` // in bytes, from 1; 0 when not known
	// Field is the value, as a JSON path: "tasks[0].timeoutSeconds", or with
	// the root, "$.tasks[0].timeoutSeconds". It is empty for the whole file.
	Field string `json:"path,omitempty"`
	// Found and Expected read as "FIELD is FOUND, expected EXPECTED".
	Found    string `json:"found"`
	Expected string `json:"expected"`
	Remedy   string `json:"remedy,omitempty"` // what to do; empty when Expected says it
}

// Error returns the fault as one printable line.
func (f *Fault) Error() string {
	text := f.Place() + ": "
	if f.Field != "" {
		text += f.Field + " is "
	}
	text += f.Found + ", expected " + f.Expected
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return wire.Printable(text)
}

// Place returns "FILE:LINE", or the file alone when the line is not known.
func (f *Fault) Place() string {
	if f.Line > 0 {
		return fmt.Sprintf("%s:%d", f.File, f.Line)
	}
	return f.File
}

// Pointer returns Field as a JSON pointer (RFC 6901), as problem+json has it.
func (f *Fault) Pointer() string { return Pointer(f.Field) }

// List is everything that is wrong with one file or body.
type List []*Fault

// Error joins the faults, one per line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, f := range l {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns l as an error, nil when it is empty.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// Quote shows found text: in quotes, printable and short, or "missing" when
// there is none.
func Quote(s string) string {
	if s == "" {
		return "missing"
	}
	return Text(s)
}

// maxShown bounds foreign text in a fault, in characters.
const maxShown = 80

// Text is Quote for text that may be empty. What could move a cursor or hide
// text is escaped.
func Text(s string) string { return strconv.Quote(shorten(s)) }

// Raw shows a piece of a file as it is written there, printable and short.
func Raw(s string) string { return wire.Printable(shorten(s)) }

func shorten(s string) string {
	if len(s) <= maxShown {
		return s
	}
	count := 0
	for at := range s {
		if count == maxShown {
			return s[:at] + "..."
		}
		count++
	}
	return s
}

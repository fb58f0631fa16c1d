package fault

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"kpm/core/wire"
)

// A line longer than shownBefore and shownAfter together, in bytes, is cut to so
// much on either side of the place.
const (
	shownBefore = 60
	shownAfter  = 40
)

// Excerpt returns two lines for a terminal: the line of source that f is about
// and a caret below the place. It is empty if f names no place in source.
//
//	11 |   "UserCheck": ["*", 7],
//	   |                      ^
func (f *Fault) Excerpt(source []byte) string {
	line, ok := lineOf(source, f.Line)
	if !ok || f.Column < 1 || f.Column > len(line)+1 {
		return ""
	}
	before, after := line[:f.Column-1], line[f.Column-1:]
	lead, trail := "", ""
	long := len(line) > shownBefore+shownAfter
	if long && len(before) > shownBefore {
		before, lead = before[boundary(before, len(before)-shownBefore):], "..."
	}
	if long && len(after) > shownAfter {
		after, trail = after[:boundary(after, shownAfter)], "..."
	}
	shown := lead + clean(before)
	return fmt.Sprintf("%5d | %s%s%s\n      | %s^\n", f.Line, shown, clean(after), trail, strings.Repeat(" ", utf8.RuneCountInString(shown)))
}

// lineOf returns line number n, from 1, without its end.
func lineOf(source []byte, n int) ([]byte, bool) {
	if n < 1 {
		return nil, false
	}
	for ; n > 1; n-- {
		at := bytes.IndexByte(source, '\n')
		if at < 0 {
			return nil, false
		}
		source = source[at+1:]
	}
	line, _, _ := bytes.Cut(source, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), true
}

// boundary is the first beginning of a character at or after at.
func boundary(text []byte, at int) int {
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	return at
}

// clean makes each character of a source line one column wide.
func clean(text []byte) string { return wire.Printable(strings.ReplaceAll(string(text), "\t", " ")) }

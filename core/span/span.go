// Package span reads and writes spans of time as people write them in policies and
// on command lines: "90s", "30m", "1h30m", "2d". A number without a unit is none,
// since nobody can tell whether 30 are seconds, minutes or days.
//
// It links nothing that keepersudo does not have.
package span

import (
	"errors"
	"strconv"
	"time"
)

// Max is the longest span: whatever is given for a time ends.
const Max = 30 * 24 * time.Hour

// Errors of Parse, each a sentence's end for whoever wrote the span.
var (
	ErrUnit  = errors.New(`a number without a unit: write "30m", "2h" or "1d"`)
	ErrZero  = errors.New("no time at all: to allow nothing for a time, leave it out")
	ErrLong  = errors.New("more than 30 days: what is given for a time has to end")
	ErrShape = errors.New(`no span of time: write whole numbers with s, m, h or d, such as "30m" or "1h30m"`)
)

// Span is a time.Duration that is written as text.
type Span time.Duration

// units are those that Text uses, too, the longest first.
var units = [...]struct {
	letter byte
	length time.Duration
}{{'d', 24 * time.Hour}, {'h', time.Hour}, {'m', time.Minute}, {'s', time.Second}}

// Parse reads a span from one second to Max, with each unit at most once, the
// longest first.
func Parse(text string) (time.Duration, error) {
	var total time.Duration
	next, rest := 0, text
	for rest != "" {
		digits := 0
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			digits++
		}
		if digits == 0 || digits > 9 {
			return 0, ErrShape
		}
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, ErrShape
		}
		if rest = rest[digits:]; rest == "" {
			return 0, ErrUnit
		}
		at := next
		for at < len(units) && units[at].letter != rest[0] {
			at++
		}
		if at == len(units) {
			return 0, ErrShape
		}
		if n > int64(Max/units[at].length) {
			return 0, ErrLong
		}
		total += time.Duration(n) * units[at].length
		next, rest = at+1, rest[1:]
	}
	switch {
	case text == "":
		return 0, ErrShape
	case total == 0:
		return 0, ErrZero
	case total > Max:
		return 0, ErrLong
	}
	return total, nil
}

// Text writes d in whole seconds, as Parse reads it; "0s" for less than one.
func Text(d time.Duration) string {
	d = d.Truncate(time.Second)
	if d <= 0 {
		return "0s"
	}
	var b []byte
	for _, u := range units {
		if n := d / u.length; n > 0 {
			b = append(strconv.AppendInt(b, int64(n), 10), u.letter)
			d -= n * u.length
		}
	}
	return string(b)
}

// String is Text of the span.
func (s Span) String() string { return Text(time.Duration(s)) }

// MarshalText implements encoding.TextMarshaler.
func (s Span) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Span) UnmarshalText(text []byte) error {
	d, err := Parse(string(text))
	*s = Span(d)
	return err
}

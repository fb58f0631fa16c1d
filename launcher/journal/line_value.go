package journal

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Each of these reads one value, and reports whether it was one of its kind as package
// json writes it.

func (p *plain) next(c byte) bool {
	if p.at == len(p.whole) || p.whole[p.at] != c {
		return false
	}
	p.at++
	return true
}

// object reads an object of at least one key; field reads the value of each.
func (p *plain) object(field func(key string) bool) bool {
	if !p.next('{') {
		return false
	}
	for {
		key, ok := p.text()
		if !ok || !p.next(':') || !field(key) {
			return false
		}
		if !p.next(',') {
			return p.next('}')
		}
	}
}

// ordered is object for fields that stand in order, each once: field returns the place
// of each among them, 0 for none of them.
func (p *plain) ordered(field func(key string) (place int, ok bool)) bool {
	last := 0
	return p.object(func(key string) bool {
		place, ok := field(key)
		if place <= last {
			return false
		}
		last = place
		return ok
	})
}

// elements reads an array of at least one element.
func elements[T any](p *plain, into *[]T, element func() (T, bool)) bool {
	if !p.next('[') {
		return false
	}
	var room [8]T
	all := room[:0]
	for {
		one, ok := element()
		if !ok {
			return false
		}
		all = append(all, one)
		if !p.next(',') {
			*into = slices.Clone(all)
			return p.next(']')
		}
	}
}

// text reads text. What is written otherwise than it reads is left to package json.
func (p *plain) text() (string, bool) {
	if !p.next('"') {
		return "", false
	}
	begin := p.at
	for i := begin; i < len(p.whole); i++ {
		switch c := p.whole[i]; {
		case c == '"':
			p.at = i + 1
			return p.kept(begin, i), true
		case c < ' ' || c == '\\' || c > '~':
			p.at = begin - 1
			var text string
			ok := p.nested(&text)
			return text, ok
		}
	}
	return "", false
}

// longLine is one that is not kept for the sake of a part of it.
const longLine = 4 << 10

// kept is a part of the line.
//
// Attack: a user's commands that go on have the longest arguments that there may be, and
// a service that begins holds all of them for their requests' ids.
func (p *plain) kept(from, to int) string {
	if len(p.whole) > longLine {
		return strings.Clone(p.whole[from:to])
	}
	return p.whole[from:to]
}

func (p *plain) string(into *string) (ok bool) {
	*into, ok = p.text()
	return ok
}

func (p *plain) natural(into *uint64) bool {
	digits := p.digits()
	n, err := strconv.ParseUint(digits, 10, 64)
	*into = n
	return err == nil
}

func (p *plain) int(into *int) bool {
	n, err := strconv.Atoi(p.digits())
	*into = n
	return err == nil
}

// digits are those of a number without a sign; empty if there is none, or it goes on as
// none of these.
func (p *plain) digits() string {
	begin := p.at
	for p.at < len(p.whole) && '0' <= p.whole[p.at] && p.whole[p.at] <= '9' {
		p.at++
	}
	digits := p.whole[begin:p.at]
	if len(digits) > 1 && digits[0] == '0' {
		return ""
	}
	return digits
}

func (p *plain) bool(into *bool) bool {
	const no = "false"
	if len(p.whole)-p.at >= len(no) && p.whole[p.at:p.at+len(no)] == no {
		p.at += len(no)
		return true
	}
	return p.yes(into)
}

func (p *plain) yes(into *bool) bool {
	const yes = "true"
	if len(p.whole)-p.at < len(yes) || p.whole[p.at:p.at+len(yes)] != yes {
		return false
	}
	p.at += len(yes)
	*into = true
	return true
}

func (p *plain) time(into *time.Time) bool {
	begin := p.at
	_, ok := p.text()
	return ok && into.UnmarshalJSON(p.line[begin:p.at]) == nil
}

// nested leaves a value to package json.
func (p *plain) nested(into any) bool {
	begin := p.at
	p.skip()
	return json.Unmarshal(p.line[begin:p.at], into) == nil
}

// maxDepth is how deep a value may be that is left to package json alone.
const maxDepth = 100

// skip goes to where a value ends, if it is one.
func (p *plain) skip() {
	depth, quoted := 0, false
	for ; p.at < len(p.whole); p.at++ {
		switch c := p.whole[p.at]; {
		case quoted && c == '\\':
			p.at++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				p.at = len(p.whole) // package json has a bound too, for the whole line
				return
			}
		case (c == '}' || c == ']' || c == ',') && depth == 0:
			return
		case c == '}' || c == ']':
			depth--
		}
	}
	p.at = min(p.at, len(p.whole))
}

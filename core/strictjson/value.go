package strictjson

import (
	"bytes"
	"encoding/json"
	"iter"
	"math"
	"strconv"
	"strings"

	"kpm/core/fault"
)

// Value is one value of a text that Parse has accepted. The zero Value is no
// value at all, and only Given may be asked of it.
type Value struct {
	text       *text
	start, end int
}

// Member is a property of an object.
type Member struct {
	Key   string
	Value Value
}

// Given reports whether v is a value.
func (v Value) Given() bool { return v.text != nil }

// Raw returns the value as it is written. It must not be changed.
func (v Value) Raw() []byte { return v.text.data[v.start:v.end] }

// Place is where the value begins: line and column from 1, columns in bytes.
func (v Value) Place() (line, column int) { return v.text.place(v.start) }

// IsNull reports whether v is null.
func (v Value) IsNull() bool { return v.text.data[v.start] == 'n' }

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return v.text.data[v.start] == '{' }

// IsArray reports whether v is an array.
func (v Value) IsArray() bool { return v.text.data[v.start] == '[' }

// IsString reports whether v is a string.
func (v Value) IsString() bool { return v.text.data[v.start] == '"' }

// IsNumber reports whether v is a number.
func (v Value) IsNumber() bool { c := v.text.data[v.start]; return c == '-' || c >= '0' && c <= '9' }

// IsBool reports whether v is true or false.
func (v Value) IsBool() bool { c := v.text.data[v.start]; return c == 't' || c == 'f' }

// Text returns the value of a string, or the literal of anything else.
func (v Value) Text() string {
	raw := v.Raw()
	if !v.IsString() {
		return string(raw)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return string(raw) // cannot be: the text is valid
	}
	return s
}

// members are the keys of an object and what it holds under them, in order.
func (v Value) members() iter.Seq2[Value, Value] {
	return func(yield func(key, value Value) bool) {
		data := v.text.data
		for at := v.skipSpace(v.start + 1); data[at] != '}'; {
			key := Value{v.text, at, skipString(data, at)}
			at = v.skipSpace(v.skipSpace(key.end) + 1) // past the colon
			value := Value{v.text, at, v.skipValue(at)}
			if !yield(key, value) {
				return
			}
			at = v.next(value.end)
		}
	}
}

// items are what an array holds, in order.
func (v Value) items() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		for at := v.skipSpace(v.start + 1); v.text.data[at] != ']'; {
			item := Value{v.text, at, v.skipValue(at)}
			if !yield(item) {
				return
			}
			at = v.next(item.end)
		}
	}
}

// Members returns what an object holds, in order, equal keys included. Past
// limit it stops and reports false.
func (v Value) Members(limit int) ([]Member, bool) {
	return v.AppendMembers(make([]Member, 0, 8), limit)
}

// AppendMembers is Members for those who have a list to append to, which counts for the
// limit.
func (v Value) AppendMembers(list []Member, limit int) ([]Member, bool) {
	for key, value := range v.members() {
		if len(list) == limit {
			return list, false
		}
		list = append(list, Member{key.Text(), value})
	}
	return list, true
}

// Items returns what an array holds. Past limit it stops and reports false.
func (v Value) Items(limit int) ([]Value, bool) {
	var list []Value
	for item := range v.items() {
		if len(list) == limit {
			return list, false
		}
		list = append(list, item)
	}
	return list, true
}

// Get returns what an object holds under a name, in any letter case; no value if that
// is not there, or v is something else.
func (v Value) Get(name string) Value {
	if !v.IsObject() {
		return Value{}
	}
	inner, _ := v.child(name)
	return inner
}

// Nearest follows a JSON path from v, names in any letter case, as far as it
// leads: to the value, or to the last one on the way that there is.
func (v Value) Nearest(path string) Value {
	for _, step := range fault.Steps(path) {
		child, ok := v.child(step)
		if !ok {
			break
		}
		v = child
	}
	return v
}

func (v Value) child(step string) (Value, bool) {
	switch {
	case v.IsObject():
		for key, value := range v.members() {
			if strings.EqualFold(string(keyOf(key.Raw())), step) {
				return value, true
			}
		}
	case v.IsArray():
		items, _ := v.Items(math.MaxInt)
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(items) {
			return items[i], true
		}
	}
	return Value{}, false
}

// find returns the innermost value that holds the byte at offset, and its path
// from v. Between values and in keys that is the value around.
func (v Value) find(offset int) (Value, string) {
	path := ""
	for {
		inner, step, ok := v.holding(path, offset)
		if !ok {
			return v, path
		}
		v, path = inner, step
	}
}

func (v Value) holding(path string, offset int) (Value, string, bool) {
	switch {
	case v.IsObject():
		members, _ := v.Members(math.MaxInt)
		for _, m := range members {
			if m.Value.start <= offset && offset < m.Value.end {
				return m.Value, fault.Key(path, m.Key), true
			}
		}
	case v.IsArray():
		items, _ := v.Items(math.MaxInt)
		for i, item := range items {
			if item.start <= offset && offset < item.end {
				return item, fault.Item(path, i), true
			}
		}
	}
	return Value{}, "", false
}

// next goes from the end of one entry to the start of the next, or to the
// closing bracket.
func (v Value) next(at int) int {
	at = v.skipSpace(at)
	if v.text.data[at] == ',' {
		at = v.skipSpace(at + 1)
	}
	return at
}

func (v Value) skipSpace(at int) int {
	data := v.text.data
	for data[at] == ' ' || data[at] == '\n' || data[at] == '\t' || data[at] == '\r' {
		at++
	}
	return at
}

// skipValue returns where the value that starts at at ends. It does not
// recurse, so depth costs nothing.
func (v Value) skipValue(at int) int {
	data, depth := v.text.data, 0
	for {
		switch data[at] {
		case '"':
			at = skipString(data, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		case ' ', '\n', '\t', '\r', ',', ':':
			at++
			continue
		default: // a number or a word
			for at < len(data) && strings.IndexByte(" \n\t\r,:]}", data[at]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
}

// skipString returns where the string whose quote is at at ends: at the next quote that
// no odd number of backslashes is before.
func skipString(data []byte, at int) int {
	for {
		at++
		at += bytes.IndexByte(data[at:], '"')
		first := at
		for data[first-1] == '\\' {
			first--
		}
		if (at-first)%2 == 0 {
			return at + 1
		}
	}
}

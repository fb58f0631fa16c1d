package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// node is a value inside a file that json has found valid. It is looked into
// only where the policy model says so: what nobody reads costs nothing,
// however deep it is.
//
// The walk exists because encoding/json keeps the last of two equal keys
// without a word, and a reader of policies must not choose between them.
type node struct {
	data       []byte // the whole file
	start, end int
}

type member struct {
	key   string
	value node
}

func (n node) raw() []byte { return n.data[n.start:n.end] }

// line is the node's line in the file, from 1.
func (n node) line() int { return 1 + bytes.Count(n.data[:n.start], []byte{'\n'}) }

func (n node) isNull() bool   { return n.data[n.start] == 'n' }
func (n node) isObject() bool { return n.data[n.start] == '{' }
func (n node) isArray() bool  { return n.data[n.start] == '[' }
func (n node) isString() bool { return n.data[n.start] == '"' }
func (n node) isNumber() bool { c := n.data[n.start]; return c == '-' || c >= '0' && c <= '9' }
func (n node) isBool() bool   { c := n.data[n.start]; return c == 't' || c == 'f' }

// describe names the value for a finding.
func (n node) describe() string {
	switch {
	case n.isNull():
		return "null"
	case n.isObject():
		return "an object"
	case n.isArray():
		return "an array"
	case n.isString():
		return quote(n.text())
	}
	return string(n.raw())
}

// text returns the value of a string, or the literal of anything else.
func (n node) text() string {
	raw := n.raw()
	if !n.isString() {
		return string(raw)
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1])
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return string(raw) // cannot be: the file is valid
	}
	return s
}

// plain returns the value of a string, or what is wrong with it.
func (n node) plain() (text, problem string) {
	switch {
	case !n.isString():
		return "", n.describe()
	case n.end-n.start-2 > maxText:
		return "", fmt.Sprintf("a string of %d bytes", n.end-n.start-2)
	}
	if text = n.text(); strings.IndexByte(text, 0) >= 0 {
		return "", "a zero byte"
	}
	return text, ""
}

// members returns what an object holds, in order, equal keys included. Past
// limit it stops and reports false.
func (n node) members(limit int) ([]member, bool) {
	list := make([]member, 0, 8)
	at := n.skipSpace(n.start + 1)
	for n.data[at] != '}' {
		if len(list) == limit {
			return list, false
		}
		key := node{n.data, at, n.skipValue(at)}
		at = n.skipSpace(n.skipSpace(key.end) + 1) // past the colon
		value := node{n.data, at, n.skipValue(at)}
		list = append(list, member{key.text(), value})
		at = n.next(value.end)
	}
	return list, true
}

// items returns what an array holds. Past limit it stops and reports false.
func (n node) items(limit int) ([]node, bool) {
	var list []node
	at := n.skipSpace(n.start + 1)
	for n.data[at] != ']' {
		if len(list) == limit {
			return list, false
		}
		item := node{n.data, at, n.skipValue(at)}
		list = append(list, item)
		at = n.next(item.end)
	}
	return list, true
}

// next goes from the end of one entry to the start of the next, or to the
// closing bracket.
func (n node) next(at int) int {
	at = n.skipSpace(at)
	if n.data[at] == ',' {
		at = n.skipSpace(at + 1)
	}
	return at
}

func (n node) skipSpace(at int) int {
	for n.data[at] == ' ' || n.data[at] == '\n' || n.data[at] == '\t' || n.data[at] == '\r' {
		at++
	}
	return at
}

// skipValue returns where the value that starts at at ends. It does not
// recurse, so depth costs nothing.
func (n node) skipValue(at int) int {
	depth := 0
	for {
		switch n.data[at] {
		case '"':
			for at++; n.data[at] != '"'; at++ {
				if n.data[at] == '\\' {
					at++
				}
			}
			at++
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
			for at < len(n.data) && strings.IndexByte(" \n\t\r,:]}", n.data[at]) < 0 {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
}

// root checks data as JSON and returns its one value. The error says where and
// what json found wrong.
func root(data []byte) (node, error) {
	if !json.Valid(data) {
		var never any
		err := json.Unmarshal(data, &never)
		at := len(data)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			at = min(int(syntax.Offset), at)
		}
		line := 1 + bytes.Count(data[:at], []byte{'\n'})
		return node{}, fmt.Errorf("line %d: %w", line, err)
	}
	n := node{data: data}
	n.start = n.skipSpace(0)
	n.end = n.skipValue(n.start)
	return n, nil
}

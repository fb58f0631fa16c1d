package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"

	"kpm/core/fault"
)

// Problem is why a text was refused.
type Problem uint8

// The problems.
const (
	TooLong   Problem = iota
	NotUTF8           // somewhere in the text
	NotJSON           // also: empty, cut off, or with something behind the value
	TooDeep           // objects and lists within each other
	Duplicate         // a key given twice, in any letter case
	WrongType         // a value that does not fit what it is decoded into
)

// Error says why a text was refused, and where.
type Error struct {
	Problem      Problem
	Line, Column int    // from 1, columns in bytes; 0 when not known
	Path         string // of the value, as a JSON path; empty for the whole text
	// Found and Expected are those of a Fault.
	Found, Expected string
	Remedy          string // that of a Fault, where more can be said than Expected does
	Err             error  // of encoding/json, for NotJSON and WrongType
}

// Error says what a Fault would say about the text.
func (e *Error) Error() string { return e.Fault("JSON").Error() }

// Unwrap returns the error of encoding/json, if there is one.
func (e *Error) Unwrap() error { return e.Err }

// Fault is e as a fault of file.
func (e *Error) Fault(file string) *fault.Fault {
	return &fault.Fault{File: file, Line: e.Line, Column: e.Column, Field: e.Path, Found: e.Found, Expected: e.Expected, Remedy: e.Remedy}
}

// Decode reads v into a variable, as json.Unmarshal does: names in any letter
// case, unknown ones ignored. The error is an *Error that names the value as it
// is written and not as Go calls it.
func (v Value) Decode(into any) error {
	err := json.Unmarshal(v.Raw(), into)
	if err == nil {
		return nil
	}
	e := &Error{Problem: WrongType, Err: err}
	e.Line, e.Column = v.Place()
	var mismatch *json.UnmarshalTypeError
	if !errors.As(err, &mismatch) {
		e.Found, e.Expected = "a value that cannot be read ("+err.Error()+")", "another value"
		return e
	}
	// Offset is behind the last byte of a simple value, and behind the bracket
	// of an object or a list.
	at, path := v.find(v.start + max(0, int(mismatch.Offset)-1))
	e.Path, e.Found, e.Expected = path, found(mismatch.Value), expected(mismatch.Type)
	e.Line, e.Column = at.Place()
	return e
}

func found(value string) string {
	kind, rest, _ := strings.Cut(value, " ")
	switch kind {
	case "bool":
		return "true or false"
	case "string":
		return "text"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	if rest = strings.TrimSpace(rest); rest == "" {
		return "a number"
	}
	return "the number " + rest
}

func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "text"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Pointer:
		return expected(t.Elem())
	}
	return "a whole number"
}

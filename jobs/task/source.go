package task

import (
	"errors"

	"kpm/core/fault"
	"kpm/core/strictjson"
	"kpm/settings"
)

// Source is one task as its job file has it, and collects what is wrong with
// it.
type Source struct {
	// Merge says that what the task finds becomes context
	// (MergeStdoutJsonIntoContext).
	Merge bool

	file, field string
	written     strictjson.Value
	faults      fault.List
}

// NewSource returns a task as it is written at field of file.
func NewSource(file, field string, written strictjson.Value) *Source {
	return &Source{file: file, field: field, written: written}
}

// Decode reads the task's fields into a struct. Names are read in any letter
// case and unknown ones are ignored. It reports whether every field had its
// type; a fault says which has not.
func (s *Source) Decode(into any) bool {
	if !s.written.IsObject() {
		s.Expect(false, "", "no JSON object", "{ ... }")
		return false
	}
	err := s.written.Decode(into)
	var wrong *strictjson.Error
	switch {
	case err == nil:
		return true
	case errors.As(err, &wrong):
		s.Expect(false, wrong.Path, wrong.Found, wrong.Expected)
	default:
		s.Expect(false, "", err.Error(), "a JSON object")
	}
	return false
}

// look returns what the task has in a field, for a look at one that may be of another
// kind: text, or any other value as it is written; empty if there is none.
func (s *Source) look(field string) string {
	v := s.written.Get(field)
	if !v.Given() || v.IsNull() {
		return ""
	}
	return v.Text()
}

// Expect records a fault unless ok. field is the field's name inside the task,
// or empty for the task itself.
func (s *Source) Expect(ok bool, field, found, expected string) {
	if !ok {
		s.refuse(field, found, expected, "")
	}
}

// refuse records a fault of a field and what to do about it.
func (s *Source) refuse(field, found, expected, remedy string) {
	if field != "" {
		field = "." + field
	}
	s.faults = append(s.faults, &fault.Fault{File: s.file, Field: s.field + field, Found: found, Expected: expected, Remedy: remedy})
}

// Arguments takes the text of field arguments apart, one template for each
// argument.
func (s *Source) Arguments(text string) []settings.Template {
	args, err := settings.SplitArguments(text)
	if err != nil {
		s.Expect(false, "arguments", err.Error(), "words separated by spaces, quoted with '...' or \"...\"")
	}
	return args
}

// Faults returns what was recorded.
func (s *Source) Faults() fault.List { return s.faults }

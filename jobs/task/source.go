package task

import (
	"encoding/json"
	"errors"

	"kpm/core/fault"
	"kpm/settings"
)

// Source is one task as its job file has it, and collects what is wrong with
// it.
type Source struct {
	// Merge says that what the task finds becomes context
	// (MergeStdoutJsonIntoContext).
	Merge bool

	file, field string
	raw         json.RawMessage
	faults      fault.List
}

// NewSource returns the task raw, a JSON object at field of file.
func NewSource(file, field string, raw json.RawMessage) *Source {
	return &Source{file: file, field: field, raw: raw}
}

// Decode reads the task's fields into a struct. Names are read in any letter
// case and unknown ones are ignored. It reports whether every field had its
// type; a fault says which has not.
func (s *Source) Decode(into any) bool {
	doc, err := settings.ParseDocument(s.file, s.raw)
	if err == nil {
		err = doc.Decode(into)
	}
	if err == nil {
		return true
	}
	var wrong *fault.Fault
	if !errors.As(err, &wrong) {
		s.Expect(false, "", err.Error(), "a JSON object")
		return false
	}
	s.Expect(false, wrong.Field, wrong.Found, wrong.Expected)
	return false
}

// peek is Decode for a look at a task that may be of another kind.
func (s *Source) peek(into any) bool { return json.Unmarshal(s.raw, into) == nil }

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

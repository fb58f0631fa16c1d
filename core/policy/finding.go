package policy

import (
	"fmt"

	"kpm/core/fault"
	"kpm/core/wire"
)

// Severity says what a Finding costs.
type Severity uint8

// The severities. A file with a Fault is not used at all; a policy with a
// Doubt grants nothing, while its DENY and its controls still apply; a Note
// changes no outcome.
const (
	Note Severity = iota
	Doubt
	Fault
)

var severityNames = [...]string{"note", "grants nothing", "fault"}

// String returns the severity as lint prints it.
func (s Severity) String() string { return severityNames[s] }

// MarshalText makes findings readable in JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is something to say about a policy file: a fault with what it costs.
// It is an error only if its severity is Fault. Field is a JSON path from the
// policy ("$.UserCheck[0]").
type Finding struct {
	Severity Severity `json:"severity"`
	fault.Fault
	// Policy is the policy's id; empty while that is unknown. Index is its
	// place in the file, from 0; -1 in a file that holds no policies.
	Policy string `json:"policy,omitempty"`
	Index  int    `json:"index"`
}

// Error returns the finding as one printable line.
func (f Finding) Error() string {
	text := f.Place()
	switch {
	case f.Policy != "":
		text += fmt.Sprintf(": policy %q", f.Policy)
	case f.Field != "" && f.Index >= 0:
		text += fmt.Sprintf(": policy %d of the file", f.Index+1)
	}
	if f.Field != "" {
		text += ", " + f.Field
	}
	text += ": found " + f.Found + ", expected " + f.Expected
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return wire.Printable(text)
}

// Faulty reports whether a finding forbids using what was read.
func Faulty(findings []Finding) bool {
	for _, f := range findings {
		if f.Severity == Fault {
			return true
		}
	}
	return false
}

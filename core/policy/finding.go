package policy

import (
	"fmt"
	"strings"

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

// Finding is something to say about a policy file. It is an error only if its
// severity is Fault.
type Finding struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // from 1; 0 if unknown
	// Policy is the policy's id; empty while that is unknown. Index is its
	// place in the file, from 0; -1 in a file that holds no policies.
	Policy string `json:"policy,omitempty"`
	Index  int    `json:"index"`
	// Path is where, as a JSON path from the policy ("$.UserCheck[0]").
	Path     string `json:"path,omitempty"`
	Found    string `json:"found"`
	Expected string `json:"expected"`
	Remedy   string `json:"remedy,omitempty"`
}

// Error returns the finding as one printable line.
func (f Finding) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	switch {
	case f.Policy != "":
		fmt.Fprintf(&b, ": policy %q", f.Policy)
	case f.Path != "" && f.Index >= 0:
		fmt.Fprintf(&b, ": policy %d of the file", f.Index+1)
	}
	if f.Path != "" {
		fmt.Fprintf(&b, ", %s", f.Path)
	}
	fmt.Fprintf(&b, ": found %s, expected %s", f.Found, f.Expected)
	if f.Remedy != "" {
		fmt.Fprintf(&b, "; %s", f.Remedy)
	}
	return wire.Printable(b.String())
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

// quote shows foreign text in a finding, cut to a readable length.
func quote(s string) string {
	if len(s) > 80 {
		s = s[:80] + "..."
	}
	return fmt.Sprintf("%q", wire.Printable(s))
}

package settings

import (
	"encoding/json"
	"fmt"
	"strings"

	"kpm/core/wire"
)

// Fault is what is wrong with a file, said so that its author can mend it.
type Fault struct {
	File  string `json:"file"`
	Line  int    `json:"line,omitempty"`  // 1-based; 0 when not known
	Field string `json:"field,omitempty"` // "tasks[0].timeoutSeconds"; empty for the whole file
	// Found and Expected read as "… is FOUND, expected EXPECTED".
	Found    string `json:"found"`
	Expected string `json:"expected"`
}

// Error says file, field, what was found and what was expected.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Field != "" {
		b.WriteString(f.Field + " is ")
	}
	b.WriteString(f.Found + ", expected " + f.Expected)
	return b.String()
}

// Faults are all that is wrong with one file.
type Faults []*Fault

// Error joins the faults, one per line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Err returns fs as an error, nil when there is none.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// Quote shows found text in a Fault: quoted, printable and short, "missing"
// when there is none.
func Quote(s string) string {
	if s == "" {
		return "missing"
	}
	text, err := json.Marshal(s)
	if err != nil {
		return "unreadable"
	}
	return shorten(string(text))
}

func shorten(s string) string {
	const most = 60 // characters
	s = wire.Printable(s)
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}

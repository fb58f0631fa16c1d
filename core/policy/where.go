package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// where is the compiled MachineCheck. An empty one holds wherever the file is.
type where struct {
	any, open bool
	names     []string // as machineName has them, sorted
	short     []string // their first labels, sorted
}

// match compares names as the machine has them at the moment. "web1" and
// "web1.corp.example" may be one machine: that is enough to refuse and too
// little to grant, like a machine that has no name.
func (w *where) match(a *asked) strength {
	switch {
	case w.open:
		return restricts
	case w.any || has(w.names, a.machine):
		return full
	}
	label, domain, _ := strings.Cut(a.machine, ".")
	if a.machine == "" || domain != "" && has(w.names, label) || domain == "" && has(w.short, label) {
		return restricts
	}
	return nothing
}

// machineName is a host name in the form in which names compare.
func machineName(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }

// allAgents is the collection that means every machine: 16 zero bytes.
const allAgents = "AAAAAAAAAAAAAAAAAAAAAA"

func (c *compiler) compileWhere(p *Policy) where {
	w := where{any: len(p.Machines) == 0}
	before := c.doubts
	for i, entry := range p.Machines {
		c.at("$.MachineCheck", i)
		values := Collection{Values: []string{entry}}
		if entry == "*" || strings.TrimSuffix(entry, "==") == allAgents {
			w.any = true
			continue
		}
		if named, isCollection := c.collection(entry, OfMachines, ""); isCollection {
			values = named
		}
		for _, v := range values.Values {
			if looksLikeUID(v) || strings.ContainsAny(v, "*?{}") || machineName(v) == "" {
				c.doubt(fault.Text(v), `a machine name, a collection, or "*" alone`, "")
				continue
			}
			name := machineName(v)
			label, _, _ := strings.Cut(name, ".")
			w.names, w.short = append(w.names, name), append(w.short, label)
		}
	}
	if c.doubts > before {
		return where{open: true}
	}
	slices.Sort(w.names)
	slices.Sort(w.short)
	return w
}

package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// where is the compiled MachineCheck. An empty one holds wherever the file is.
type where struct {
	any, open bool
	names     []string // lower case, sorted
}

func (w *where) match(a *asked) strength {
	switch {
	case w.open:
		return restricts
	case w.any || has(w.names, a.machine):
		return full
	}
	return nothing
}

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
			if looksLikeUID(v) || strings.ContainsAny(v, "*?{}") {
				c.doubt(fault.Text(v), `a machine name, a collection, or "*" alone`, "")
				continue
			}
			w.names = append(w.names, strings.ToLower(v))
		}
	}
	if c.doubts > before {
		return where{open: true}
	}
	slices.Sort(w.names)
	return w
}

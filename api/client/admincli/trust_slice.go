package admincli

import (
	"slices"
	"strings"

	"kpm/core"
)

// slice is what was looked at in one image of a fat file.
type slice struct {
	name, identifier string
	checks           []core.Check
}

// bySlice takes apart the checks of a fat file, which begin with the name of a
// slice each; the first is that of its identifier. whole are those of the file.
func bySlice(e core.Evidence) (whole []core.Check, found []slice) {
	for _, c := range e.Checks {
		if of, ok := strings.CutSuffix(c.Name, ": identifier"); ok && e.Kind == core.KindMachO {
			found = append(found, slice{name: of, identifier: c.Detail})
			continue
		}
		if last := len(found) - 1; last >= 0 {
			c.Name = strings.TrimPrefix(c.Name, found[last].name+": ")
			found[last].checks = append(found[last].checks, c)
			continue
		}
		whole = append(whole, c)
	}
	return whole, found
}

// alike takes what was found alike in all of several slices out of them, and
// returns their names with it.
func alike(found []slice) (names string, checks []core.Check) {
	if len(found) < 2 {
		return "", nil
	}
	for i, s := range found {
		if i > 0 {
			names += ", "
		}
		names += s.name
	}
	for _, c := range found[0].checks {
		if !slices.ContainsFunc(found, func(s slice) bool { return !slices.Contains(s.checks, c) }) {
			checks = append(checks, c)
		}
	}
	for i := range found {
		found[i].checks = slices.DeleteFunc(found[i].checks, func(c core.Check) bool { return slices.Contains(checks, c) })
	}
	return names, checks
}

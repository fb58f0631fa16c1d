package keeperlogger

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// levelNames are the levels of docs/wire.md, least first.
var levelNames = []string{"Trace", "Debug", "Information", "Warning", "Error", "Critical"}

// rank is a level's place among levelNames, and that of Information for one that
// does not exist.
func rank(level string) int {
	if i := slices.IndexFunc(levelNames, func(name string) bool { return strings.EqualFold(name, level) }); i >= 0 {
		return i
	}
	return slices.Index(levelNames, "Information")
}

// levels says what is written of whom: log.level, and log.level.{source}.
type levels struct {
	least  int
	source map[string]int
}

const levelKey = "log.level"

func readLevels(values map[string]string) (l levels, faults []error) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		source, one := strings.CutPrefix(key, levelKey+".")
		if key != levelKey && (!one || source == "") {
			continue
		}
		value := values[key]
		if !slices.ContainsFunc(levelNames, func(name string) bool { return strings.EqualFold(name, value) }) {
			faults = append(faults, fmt.Errorf("%s: found %q, expected %s", key, value, strings.Join(levelNames, ", ")))
			continue
		}
		if key == levelKey {
			l.least = rank(value)
			continue
		}
		if l.source == nil {
			l.source = map[string]int{}
		}
		l.source[source] = rank(value)
	}
	return l, faults
}

// wants reports whether a record of this level of source is written. What
// source names of its own parts, after a slash, has the source's level.
func (l levels) wants(source, level string) bool {
	least := l.least
	publisher, _, _ := strings.Cut(source, "/")
	for _, name := range []string{publisher, source} {
		if own, ok := l.source[name]; ok {
			least = own
		}
	}
	return rank(level) >= least
}

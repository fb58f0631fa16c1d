package fault

import (
	"strconv"
	"strings"
	"unicode"

	"kpm/core/wire"
)

// A JSON path here is the part of RFC 9535 that names one value: ".name",
// "['any name']" and "[0]", with or without the leading "$". The name at the
// beginning of a path without "$" has no dot.

// Key returns the path of the property name of the object at path.
func Key(path, name string) string {
	switch {
	case !plain(name):
		quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(wire.Printable(name))
		return path + "['" + quoted + "']"
	case path == "":
		return name
	}
	return path + "." + name
}

// Item returns the path of entry i, from 0, of the list at path.
func Item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// plain reports whether name needs no quotes in a path.
func plain(name string) bool {
	for _, r := range name {
		if r != '_' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return name != ""
}

// Pointer returns a JSON path as a JSON pointer (RFC 6901): "" for the root,
// "/tasks/0/timeoutSeconds".
func Pointer(path string) string {
	var b strings.Builder
	for _, step := range Steps(path) {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return b.String()
}

// Steps takes a JSON path apart: the names and the indices, in order.
func Steps(path string) []string {
	var steps []string
	path = strings.TrimPrefix(path, "$")
	for path != "" {
		var step string
		switch {
		case strings.HasPrefix(path, "['"):
			step, path = quotedStep(path[2:])
		case path[0] == '[':
			step, path, _ = strings.Cut(path[1:], "]")
		default:
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			step, path = path[:end], path[end:]
		}
		steps = append(steps, step)
	}
	return steps
}

// quotedStep reads up to the closing quote and bracket.
func quotedStep(path string) (step, rest string) {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == '\\' && i+1 < len(path):
			i++
		case path[i] == '\'':
			return b.String(), strings.TrimPrefix(path[i+1:], "]")
		}
		b.WriteByte(path[i])
	}
	return b.String(), ""
}

package policy

import "strings"

// glob is a pattern in which "*" stands for any characters, "/" included, and
// which must match from the first to the last character.
type glob struct {
	prefix, suffix string
	middle         []string // in this order between the two
	literal        bool     // no "*": prefix is everything
}

func parseGlob(pattern string) glob {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return glob{prefix: pattern, literal: true}
	}
	g := glob{prefix: parts[0], suffix: parts[len(parts)-1]}
	for _, part := range parts[1 : len(parts)-1] {
		if part != "" {
			g.middle = append(g.middle, part)
		}
	}
	return g
}

// match takes each middle part at its first place, which leaves the most for
// those that follow, so one pass decides.
func (g *glob) match(s string) bool {
	if g.literal {
		return s == g.prefix
	}
	if len(s) < len(g.prefix)+len(g.suffix) || !strings.HasPrefix(s, g.prefix) || !strings.HasSuffix(s, g.suffix) {
		return false
	}
	s = s[len(g.prefix) : len(s)-len(g.suffix)]
	for _, part := range g.middle {
		at := strings.Index(s, part)
		if at < 0 {
			return false
		}
		s = s[at+len(part):]
	}
	return true
}

// any reports whether the pattern matches everything.
func (g *glob) any() bool {
	return !g.literal && g.prefix == "" && g.suffix == "" && len(g.middle) == 0
}

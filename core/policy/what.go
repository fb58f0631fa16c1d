package policy

import (
	"strings"

	"kpm/core/fault"
)

// program is one compiled entry of ApplicationCheck.
type program struct {
	kind programKind
	text string // the hash, path or name
	glob glob   // of a pattern
}

type programKind uint8

const (
	byHash    programKind = iota
	byPath                // one whole path
	byPattern             // a path with "*"
	byName                // a file name in any directory
	byNamePattern
	byAnything
)

// match says how the entry meets the question. A policy grants on the resolved
// path only; what the caller named is enough to restrict (decision 26), and so is
// a link that leads to the program: a DENY of awk is one of what it links to,
// whatever that is called by (decision 38). So is
// a bare name outside the secure path: a file that users put elsewhere does
// not become "apt" by being called so.
func (p *program) match(a *asked) strength {
	switch p.kind {
	case byAnything:
		return full
	case byHash:
		if p.text == a.hash {
			return full
		}
		return nothing
	case byName, byNamePattern:
		if p.is(a.base) {
			return a.baseStrength
		}
		for _, other := range a.otherBases {
			if other != "" && p.is(other) {
				return restricts
			}
		}
		for _, link := range a.links {
			if _, base := splitPath(link); p.is(base) {
				return restricts
			}
		}
		return nothing
	}
	if p.is(a.path) {
		return full
	}
	for _, other := range a.others() {
		if p.is(other) {
			return restricts
		}
	}
	for _, link := range a.links {
		if p.is(link) {
			return restricts
		}
	}
	return nothing
}

func (p *program) is(s string) bool {
	if p.kind == byPattern || p.kind == byNamePattern {
		return p.glob.match(s)
	}
	return p.text == s
}

// compileWhat reads entries: "*", a SHA-256 in hex, a path or file name with
// variables and "*", or the UID of a collection of applications. open is true
// if the policy restricts every program.
func (c *compiler) compileWhat(p *Policy, kind answerer) (programs []program, open bool) {
	if len(p.Applications) == 0 {
		if kind.everyProgram(p) {
			return []program{{kind: byAnything}}, false
		}
		return nil, true
	}
	before := c.doubts
	for i, entry := range p.Applications {
		c.at("$.ApplicationCheck", i)
		values := []string{entry}
		if named, isCollection := c.collection(entry, OfApplications, ""); isCollection {
			values = named.Values
		} else if looksLikeUID(entry) {
			c.doubt(fault.Text(entry)+", which looks like a collection", "a collection of the collections file", "write a program that is really called so with its path")
			continue
		}
		for _, v := range values {
			if prog, ok := c.program(v); ok {
				programs = append(programs, prog)
			}
		}
	}
	if c.doubts > before {
		return nil, true
	}
	return programs, false
}

func (c *compiler) program(entry string) (program, bool) {
	if isSHA256(entry) {
		return program{kind: byHash, text: strings.ToLower(entry)}, true
	}
	text, unknown := c.env.expand(entry)
	if unknown != "" {
		found := "{" + unknown + "}"
		if unknown == "{" {
			found = entry // of which brace is hard to say
		}
		c.doubt(fault.Text(found), "a variable that means the same for every user", "write the path itself")
		return program{}, false
	}
	text = c.env.slashes(text)
	g := parseGlob(text)
	switch {
	case g.any():
		return program{kind: byAnything}, true
	case c.env.Platform.IsBareName(text):
		if g.literal {
			return program{kind: byName, text: text}, true
		}
		return program{kind: byNamePattern, glob: g}, true
	case g.literal:
		if clean := c.env.clean(text); c.env.absolute(clean) && !strings.HasSuffix(text, "/") && clean == c.env.collapse(text) {
			return program{kind: byPath, text: c.env.follow(clean)}, true
		}
	default:
		text = c.env.follow(c.env.collapse(text))
		g = parseGlob(text)
		if strings.Contains(text+"/", "/./") || strings.Contains(text+"/", "/../") {
			break
		}
		if g.prefix == "" || c.env.rooted(g.prefix) {
			return program{kind: byPattern, glob: g}, true
		}
	}
	c.doubt(fault.Text(entry), "an absolute path to a program, a file name, a SHA-256, or a pattern", `write a folder as "/folder/*"`)
	return program{}, false
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

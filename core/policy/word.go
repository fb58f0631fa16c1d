package policy

import (
	"path"
	"strings"

	"kpm/core"
	"kpm/core/fault"
)

// word is one compiled argument of an entry of AllowCommands.
type word struct {
	glob glob
	// path says that the argument, behind prefix, names a file, and that glob is
	// of where it leads: links followed, from the caller's directory.
	path   bool
	prefix string
}

// match looks at the text of an argument alone.
func (w *word) match(arg string) bool {
	if w.path {
		return strings.HasPrefix(arg, w.prefix) && len(arg) > len(w.prefix)
	}
	return w.glob.match(arg) && (w.glob.literal || !climbs(arg))
}

// leads returns where the path in an argument leads, and whether the word is met
// by that.
func (w *word) leads(arg string, a *asked) (to string, met bool) {
	if a.resolve == nil {
		return "", false
	}
	to, found := a.resolve(a.q.Directory, arg[len(w.prefix):])
	return to, found && w.glob.match(to)
}

// climbs reports whether an argument may hold a path with a component "..".
//
// Attack: "/srv/web/*" is meant to stay below /srv/web, and
// "/srv/web/../../etc/shadow" does not. Where in an argument a path begins only
// the program knows (--file=../x, if=../x, a:../x, -C../x), so ".." counts
// wherever it is not part of a longer name.
func climbs(arg string) bool {
	option := strings.HasPrefix(arg, "-")
	for at := 0; ; {
		i := strings.Index(arg[at:], "..")
		if i < 0 {
			return false
		}
		from := at + i
		to := from
		for to < len(arg) && arg[to] == '.' {
			to++
		}
		alone := to-from == 2 && (to == len(arg) || !inName(arg[to]))
		if alone && (option || from == 0 || !inName(arg[from-1])) {
			return true
		}
		at = to
	}
}

// inName reports whether c can only be part of a file's name, next to "..".
func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c >= 0x80
}

// asPath writes an argument with a wildcard over paths as one that names a file.
func asPath(text string) string {
	at := strings.IndexAny(text, `/\{`)
	if at == 0 || at > 0 && (strings.ContainsRune("=:,", rune(text[at-1])) || text[0] == '-') {
		return text[:at] + "{path:" + text[at:] + "}"
	}
	return "{path:/folder/*} with an absolute path"
}

// pathWord begins an argument that names a file: {path}, or {path:/folder/*}.
const pathWord = "{path"

// word compiles one argument: text with "*", or literal text and a path at its
// end.
func (c *compiler) word(text string) (word, bool) {
	at := strings.Index(text, pathWord)
	if at < 0 {
		w := word{glob: parseGlob(text)}
		switch {
		case w.glob.literal:
		case climbs(strings.ReplaceAll(text, "*", "")):
			c.doubt(fault.Text(text), `a pattern without ".."`, `"*" never meets a path with ".."`)
			return word{}, false
		case strings.Contains(c.env.slashes(text), "/"):
			c.note(c.policy, c.path, fault.Text(text)+", a wildcard over paths", asPath(text),
				"links in it lead anywhere: where users can make one, name the argument as a path, which is then resolved and handed over open")
		case w.glob.prefix == "", strings.HasSuffix(w.glob.prefix, "="):
			c.note(c.policy, c.path, fault.Text(text)+", a wildcard that meets whole paths", text[:len(w.glob.prefix)]+"{path:/folder/*} with an absolute path",
				`"*" stands for any number of folders: name the argument as a path, or begin it with text`)
		}
		return w, true
	}
	prefix, pattern := text[:at], "/*"
	inner, closed := strings.CutSuffix(text[at+len(pathWord):], "}")
	if inner != "" {
		var ok bool
		if pattern, ok = strings.CutPrefix(inner, ":"); !ok {
			closed = false
		}
	}
	expanded, unknown := c.env.expand(pattern)
	expanded = c.env.follow(c.env.collapse(c.env.slashes(expanded)))
	g := parseGlob(expanded)
	switch {
	case c.env.Platform == core.Windows:
		c.doubt(fault.Text(text), "text", "arguments are not resolved on Windows yet")
	case !closed || unknown != "" || strings.Contains(prefix, "*") || !strings.HasPrefix(expanded, "/") || expanded == "/" ||
		path.Clean(expanded) != expanded:
		c.doubt(fault.Text(text), "{path}, or {path:/folder/*} with an absolute path", `write a whole folder as "/folder/*"`)
	default:
		return word{glob: g, path: true, prefix: prefix}, true
	}
	return word{}, false
}

package wire

import (
	"strings"

	"kpm/core"
)

// Quoted is argv as one text that the system's own shell, or CommandLineToArgvW on
// Windows, reads back as argv (decision 24). It is for people and for patterns: what
// runs is always argv.
func Quoted(platform core.Platform, argv []string) string {
	quote := posixQuoted
	if platform == core.Windows {
		quote = windowsQuoted
	}
	words := make([]string, len(argv))
	for i, arg := range argv {
		words[i] = quote(arg)
	}
	return strings.Join(words, " ")
}

// posixQuoted is a word of sh. A word that needs no quotes has none.
func posixQuoted(arg string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_@%+=:,./-", r)
	}
	if arg != "" && strings.IndexFunc(arg, func(r rune) bool { return !plain(r) }) < 0 {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// windowsQuoted is a word of CommandLineToArgvW: backslashes count only before a quote.
func windowsQuoted(arg string) string {
	if arg != "" && !strings.ContainsAny(arg, " \t\n\v\"") {
		return arg
	}
	var b strings.Builder
	b.WriteByte('"')
	slashes := 0
	for i := 0; i < len(arg); i++ {
		switch c := arg[i]; c {
		case '\\':
			slashes++
		case '"':
			b.WriteString(strings.Repeat(`\`, 2*slashes+1))
			b.WriteByte(c)
			slashes = 0
			continue
		default:
			b.WriteString(strings.Repeat(`\`, slashes))
			b.WriteByte(c)
			slashes = 0
			continue
		}
	}
	b.WriteString(strings.Repeat(`\`, 2*slashes))
	b.WriteByte('"')
	return b.String()
}

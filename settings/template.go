package settings

import (
	"fmt"
	"strings"
)

// Template is text with {Token}s, taken apart once. A token is a name of
// letters, digits, dots, underscores and hyphens that begins with a letter;
// any other brace is itself, so JSON can be a template.
type Template struct{ parts []Part }

// Part is a literal, or a token when Token is not empty.
type Part struct{ Literal, Token string }

// ParseTemplate takes s apart.
func ParseTemplate(s string) Template {
	var t Template
	last := 0
	for at := strings.IndexByte(s, '{'); at >= 0; {
		end := at + 1
		for end < len(s) && inToken(s[end], end > at+1) {
			end++
		}
		if end < len(s) && s[end] == '}' && end > at+1 {
			if at > last {
				t.parts = append(t.parts, Part{Literal: s[last:at]})
			}
			t.parts = append(t.parts, Part{Token: s[at+1 : end]})
			last = end + 1
			end = last
		}
		next := strings.IndexByte(s[end:], '{')
		if next < 0 {
			break
		}
		at = end + next
	}
	if last < len(s) {
		t.parts = append(t.parts, Part{Literal: s[last:]})
	}
	return t
}

// inToken reports whether c can stand in a token, behind its first letter or as that.
func inToken(c byte, behind bool) bool {
	letter := 'a' <= c|0x20 && c|0x20 <= 'z'
	return letter || behind && ('0' <= c && c <= '9' || c == '.' || c == '_' || c == '-')
}

// NewTemplate is the template of these pieces.
func NewTemplate(parts ...Part) Template { return Template{parts: parts} }

// Parts are the pieces in order.
func (t Template) Parts() []Part { return t.parts }

// Expand replaces every token by its value. Values are not looked at again:
// a brace in a value is a brace.
func (t Template) Expand(value func(token string) (string, error)) (string, error) {
	if len(t.parts) == 1 && t.parts[0].Token == "" {
		return t.parts[0].Literal, nil
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.Token == "" {
			b.WriteString(p.Literal)
			continue
		}
		text, err := value(p.Token)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

// parseArgument is ParseTemplate, and "{{" is a brace that begins no token.
func parseArgument(s string) Template {
	var t Template
	for i, text := range strings.Split(s, "{{") {
		if i > 0 {
			t.parts = append(t.parts, Part{Literal: "{"})
		}
		t.parts = append(t.parts, ParseTemplate(text).parts...)
	}
	return t
}

// maxArguments bounds the arguments of one command.
const maxArguments = 256

// SplitArguments takes an "arguments" string apart into templates, one per
// argument. Tokens are filled in afterwards, so a value never becomes two
// arguments or closes a quote (CVE-2021-3156 and its kind).
//
// Spaces, tabs and line ends separate. Within '...' everything is literal.
// Within "..." a backslash before " or \ makes that character literal. Any
// other backslash is itself, so Windows paths need no doubling. There is no
// other syntax, and no shell. "{{" is a literal brace: "{{approot}" is "{approot}".
func SplitArguments(s string) ([]Template, error) {
	var args []Template
	var word strings.Builder
	inWord := false
	var quote rune
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote == '"' && r == '\\' && i+1 < len(runes) && (runes[i+1] == '"' || runes[i+1] == '\\'):
			i++
			word.WriteRune(runes[i])
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, inWord = r, true
		case quote == 0 && strings.ContainsRune(" \t\r\n", r):
			if inWord {
				args = append(args, parseArgument(word.String()))
			}
			word.Reset()
			inWord = false
		case r == 0:
			return nil, fmt.Errorf("a NUL character in arguments")
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a %c without its partner", quote)
	}
	if inWord {
		args = append(args, parseArgument(word.String()))
	}
	if len(args) > maxArguments {
		return nil, fmt.Errorf("%d arguments, at most %d", len(args), maxArguments)
	}
	return args, nil
}

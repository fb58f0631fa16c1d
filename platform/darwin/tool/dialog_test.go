package tool

import (
	"errors"
	"strings"
	"testing"

	"kpm/core"
)

// read reads an AppleScript string as the language has it: a backslash escapes one
// character, and a quotation mark ends it.
func read(literal string) (text string, whole bool) {
	rest, ok := strings.CutPrefix(literal, `"`)
	var b strings.Builder
	for ok && rest != "" {
		c := rest[0]
		rest = rest[1:]
		switch {
		case c == '"':
			return b.String(), rest == ""
		case c != '\\':
			b.WriteByte(c)
		case rest == "":
			return "", false
		default:
			b.WriteString(map[byte]string{'n': "\n", 'r': "\r", 't': "\t", '\\': `\`, '"': `"`}[rest[0]])
			rest = rest[1:]
		}
	}
	return "", false
}

func TestDialog(t *testing.T) {
	for _, c := range []struct {
		output, said string
		status       int
		want         string
		err          error
	}{
		{"because\n", "", 0, "because", nil},
		{"\n", "", 0, "", nil},
		{"", "0:64: execution error: User canceled. (-128)\n", 1, "", core.ErrCancelled},
		{"", "execution error: No user interaction allowed. (-1713)\n", 1, "", nil},
	} {
		got, err := ParseAnswer(c.output, c.said, c.status)
		if got != c.want || (err == nil) != (c.status == 0) || c.err != nil && !errors.Is(err, c.err) || c.err == nil && errors.Is(err, core.ErrCancelled) {
			t.Errorf("%+v: %q, %v", c, got, err)
		}
	}
}

func FuzzLiteral(f *testing.F) {
	f.Add(`a "b" \c` + "\n\r\t")
	f.Fuzz(func(t *testing.T, text string) {
		if got, whole := read(Literal(text)); !whole || got != text {
			t.Errorf("%q is read as %q, %v", text, got, whole)
		}
	})
}

package admincli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"strings"
	"testing"
)

// JSON for programs passes through a terminal too: it is ASCII, and says the
// same.
func TestJSONIsASCIIAndSaysTheSame(t *testing.T) {
	for text, want := range map[string]string{
		"":                     `""`,
		"a \"b\" \\":           `"a \"b\" \\"`,
		"~\x7f\u0080":          `"~\u007f\u0080"`,
		"\x1b[2J\n":            `"\u001b[2J\n"`,
		"é\u202e\uffff":        `"\u00e9\u202e\uffff"`,
		"\U00010000":           `"\ud800\udc00"`,
		"\U0001f600":           `"\ud83d\ude00"`,
		"\U0010ffff\U000e0041": `"\udbff\udfff\udb40\udc41"`,
		"<a&b>":                `"<a&b>"`, // otpauth://totp/...?issuer=x&secret=y is copied
	} {
		var b strings.Builder
		if err := printJSON(&b, text); err != nil || b.String() != want+"\n" {
			t.Errorf("%q: %s (%v), want %s", text, b.String(), err, want)
		}
		var back string
		if err := json.Unmarshal([]byte(b.String()), &back); err != nil || back != text {
			t.Errorf("%q is read as %q (%v)", text, back, err)
		}
	}
	var b strings.Builder
	if err := printJSON(&b, func() {}); err == nil || b.Len() > 0 {
		t.Errorf("what is no JSON: %q, %v", b.String(), err)
	}
}

// The lines of an error stay, and only the first begins like one of ours.
func TestErrorsForATerminal(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New("one"), "one"},
		{errors.Join(errors.New("one"), errors.New("two")), "one\n  two"},
		{errors.New("did you mean\n\taudit\n\n"), "did you mean\n    audit"},
		{&fs.PathError{Op: "open", Path: "a\r\x1b[2J\xff\u2028b", Err: fs.ErrNotExist}, "open a\uFFFD\uFFFD[2J\uFFFD\uFFFDb: file does not exist"},
	} {
		if got := printable(c.err); got != c.want {
			t.Errorf("%q: %q, want %q", c.err, got, c.want)
		}
	}
}

package wire

import (
	"errors"
	"testing"
)

// Several errors are one line, and nothing in them makes another.
func TestPrintableLine(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "one": "one", "\n": "",
		errors.Join(errors.New("one"), errors.New("two\r\nthree\x1b[2J")).Error(): "one; two; three\ufffd[2J",
		"trailing\n\n": "trailing",
	} {
		if got := PrintableLine(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

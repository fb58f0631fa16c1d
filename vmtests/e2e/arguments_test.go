//go:build linux

package e2e

import (
	"slices"
	"strings"
	"testing"
)

// TestArguments: what a command is given is what was typed, byte for byte, or
// nothing runs and the caller hears why.
func TestArguments(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	long := func(kib int) []string { // one argument is at most 128 KiB on Linux
		return slices.Repeat([]string{strings.Repeat("0123456789abcde ", 1<<10/16)}, kib)
	}
	for _, tc := range []struct {
		what    string
		args    []string
		refused string
	}{
		{"none", nil, ""},
		{"empty ones", []string{"", "", ""}, ""},
		{"one of 100 KiB", []string{strings.Repeat("x", 100<<10)}, ""},
		{"100 KiB in many", long(100), ""},
		{"10000", slices.Repeat([]string{"x"}, 10000), ""},
		{"what a shell would read", []string{"$(id)", "`id`", "a;b", "a|b", "\\", "'", "\"", "*", "~", "a\nb", "\t", "#"}, ""},
		{"every character that is not NUL", []string{everyASCII(), "äöü 漢字 \u202e\U0001F600"}, ""},
		{"130 KiB in many", long(130), "the limit is 131072"},
		{"300 KiB", long(300), "too long"},
		{"Latin-1", []string{"caf\xe9"}, "not UTF-8"},
		{"half of a character", []string{"\xe6\xbc"}, "not UTF-8"},
		{"a surrogate", []string{"\xed\xa0\x80"}, "not UTF-8"},
	} {
		given := append([]string{"first"}, tc.args...)
		argv := append([]string{"printf", `%s\0`}, given...)
		out, err := a.Sudo(t.Context(), 4242, argv...).CombinedOutput()
		switch {
		case tc.refused != "":
			if err == nil || !strings.HasPrefix(string(out), "keepersudo: ") || !strings.Contains(string(out), tc.refused) {
				t.Errorf("%s: %v: %.200q, expected a refusal with %q", tc.what, err, out, tc.refused)
			}
		case err != nil || string(out) != strings.Join(given, "\x00")+"\x00":
			t.Errorf("%s: %v: %.200q", tc.what, err, out)
		}
	}
}

func everyASCII() string {
	var b strings.Builder
	for c := byte(1); c < 128; c++ {
		b.WriteByte(c)
	}
	return b.String()
}

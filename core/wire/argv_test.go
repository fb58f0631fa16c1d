package wire_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"unicode/utf8"

	"kpm/core/wire"
)

func TestArgumentsAreShownAndKept(t *testing.T) {
	for _, tc := range []struct {
		arg, shown string
	}{
		{"", ""}, {"text", "text"}, {`a\b`, `a\b`}, {"\x1b[2J", "\x1b[2J"}, {"漢字", "漢字"},
		{"caf\xe9", `caf\xE9`}, {"\xff", `\xFF`}, {`\` + "\xff", `\\\xFF`}, {"漢\xe6\xbc", `漢\xE6\xBC`},
		{"\xff\x1b\u202e\n", `\xFF\x1B\xE2\x80\xAE\x0A`}, {"\xed\xa0\x80", `\xED\xA0\x80`},
	} {
		if got := wire.Shown([]string{"x", tc.arg}); got[0] != "x" || got[1] != tc.shown {
			t.Errorf("%q is shown as %q, expected %q", tc.arg, got[1], tc.shown)
		}
	}
	text := []string{"a", "b"}
	if got := wire.Shown(text); &got[0] != &text[0] || wire.Bytes(text) != nil {
		t.Error("text is copied")
	}
}

func TestBytesAreAboutArgumentsThatAreThere(t *testing.T) {
	for _, bytes := range []map[int][]byte{{-1: {1}}, {1: {1}}, {0: {'a', 0}}} {
		if argv, ok := wire.Argv([]string{"a"}, bytes); ok {
			t.Errorf("%v: %q", bytes, argv)
		}
	}
}

// What one end shows and keeps, the other has, through JSON.
func FuzzArgv(f *testing.F) {
	f.Add("a", "caf\xe9")
	f.Add("\xff\\", "\\xFF")
	f.Fuzz(func(t *testing.T, one, two string) {
		argv := []string{"x", one, two}
		q := wire.PolicyRequest{Arguments: wire.Shown(argv), ArgumentBytes: wire.Bytes(argv)}
		for _, shown := range q.Arguments {
			if !utf8.ValidString(shown) {
				t.Errorf("%q is shown as %q", argv, shown)
			}
		}
		data, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		var there wire.PolicyRequest
		if err := json.Unmarshal(data, &there); err != nil {
			t.Fatal(err)
		}
		got, ok := wire.Argv(there.Arguments, there.ArgumentBytes)
		hasNUL := func(s string) bool { return !utf8.ValidString(s) && containsNUL(s) }
		if hasNUL(one) || hasNUL(two) {
			if ok {
				t.Errorf("%q has a NUL", argv)
			}
			return
		}
		if !ok || !reflect.DeepEqual(got, argv) {
			t.Errorf("%q became %q", argv, got)
		}
	})
}

func containsNUL(s string) bool {
	for i := range len(s) {
		if s[i] == 0 {
			return true
		}
	}
	return false
}

func TestEscaped(t *testing.T) {
	for arg, want := range map[string]string{
		"": "", "plain": "plain", "größer": "größer", `a\b`: `a\b`,
		"a\nb": `a\x0Ab`, "\x1b[2J": `\x1B[2J`, "caf\xe9": `caf\xE9`, "\u202ex\\": `\xE2\x80\xAEx\\`,
	} {
		if got := wire.Escaped(arg); got != want {
			t.Errorf("%q: %q, expected %q", arg, got, want)
		}
	}
}

package wire

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kpm/core"
)

func TestQuoted(t *testing.T) {
	for _, c := range []struct {
		argv           []string
		posix, windows string
	}{
		{[]string{"id", "-u"}, `id -u`, `id -u`},
		{[]string{"a b", ""}, `'a b' ''`, `"a b" ""`},
		{[]string{"it's", `say "hi"`}, `'it'\''s' 'say "hi"'`, `it's "say \"hi\""`},
		{[]string{`C:\a b\`, `\\`}, `'C:\a b\' '\\'`, `"C:\a b\\" \\`},
		{[]string{"$(x)", "*", "~", "a\nb", "ü"}, "'$(x)' '*' '~' 'a\nb' 'ü'", "$(x) * ~ \"a\nb\" ü"},
		{nil, "", ""},
	} {
		if got := Quoted(core.Linux, c.argv); got != c.posix {
			t.Errorf("%q: %s, want %s", c.argv, got, c.posix)
		}
		if got := Quoted(core.Windows, c.argv); got != c.windows {
			t.Errorf("%q: %s, want %s", c.argv, got, c.windows)
		}
	}
}

// A shell reads back what was quoted.
func TestAShellReadsItBack(t *testing.T) {
	argv := []string{"a b", "", "it's", "$HOME", "`id`", "\\", "*", "x\ny", "-n", "#", "!", "a;b&c|d<e>f(g)"}
	out, err := exec.Command("/bin/sh", "-c", `printf '%s\0' `+Quoted(core.Linux, argv)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, argv) {
		t.Errorf("%q", got)
	}
}

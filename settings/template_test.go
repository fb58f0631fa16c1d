package settings

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func expandAll(t *testing.T, args []Template, value func(string) (string, error)) []string {
	t.Helper()
	got := []string{}
	for _, a := range args {
		s, err := a.Expand(value)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s)
	}
	return got
}

func same(token string) (string, error) { return "{" + token + "}", nil }

func TestSplitArguments(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []string
	}{
		{``, []string{}},
		{"  \t\n ", []string{}},
		{`one`, []string{"one"}},
		{` --a=1   --b `, []string{"--a=1", "--b"}},
		{`"two words" 'and three words'`, []string{"two words", "and three words"}},
		{`--path="C:\Program Files\X" C:\dir\`, []string{`--path=C:\Program Files\X`, `C:\dir\`}},
		{`"say \"hi\" \\ \n"`, []string{`say "hi" \ \n`}},
		{`'it is \"raw\"'`, []string{`it is \"raw\"`}},
		{`a""b '' ""`, []string{"ab", "", ""}},
		{`$(id) ` + "`id`" + ` ; | > & $HOME *`, []string{"$(id)", "`id`", ";", "|", ">", "&", "$HOME", "*"}},
		{`--base={KeeperApiBaseUrl} {FilePath}`, []string{"--base={KeeperApiBaseUrl}", "{FilePath}"}},
		{`"{Two} {Tokens}"`, []string{"{Two} {Tokens}"}},
	} {
		args, err := SplitArguments(tc.text)
		if err != nil {
			t.Errorf("%s: %v", tc.text, err)
			continue
		}
		if got := expandAll(t, args, same); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestSplitArgumentsRefuses(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"an open double quote", `a "b`, `a " without its partner`},
		{"an open single quote", `it's`, `a ' without its partner`},
		{"a quote escaped away", `"C:\dir\"`, `a " without its partner`},
		{"NUL", "a\x00b", "NUL"},
		{"too many", strings.Repeat("a ", 257), "257 arguments, at most 256"},
	} {
		if _, err := SplitArguments(tc.text); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

// Attack: a file name that closes a quote or holds a space becomes arguments of
// its own (CVE-2021-3156 and its kind).
func TestValuesNeverBecomeArguments(t *testing.T) {
	const evil = `x" --allow-all 'y {UserName} \`
	for _, text := range []string{`--file={FilePath} --end`, `"--file={FilePath}" --end`, `'--file={FilePath}' --end`} {
		args, err := SplitArguments(text)
		if err != nil {
			t.Fatal(err)
		}
		got := expandAll(t, args, func(string) (string, error) { return evil, nil })
		if want := []string{"--file=" + evil, "--end"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func TestTwoBracesAreOneThatBeginsNoToken(t *testing.T) {
	for text, want := range map[string]string{
		"{{A}": "{A}", "{{{A}": "{1", "{A}{{": "1{", `'{"a":{{"b":1}}'`: `{"a":{"b":1}}`, "{{{{": "{{", `{"a":{"b":{A}}}`: `{a:{b:1}}`,
	} {
		args, err := SplitArguments(text)
		if err != nil || len(args) != 1 {
			t.Fatalf("%s: %v, %v", text, args, err)
		}
		got, err := args[0].Expand(func(string) (string, error) { return "1", nil })
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestExpand(t *testing.T) {
	known := map[string]string{"A": "1", "b.c-d_e": "2", "Brace": "{A}"}
	unknown := errors.New("unknown token")
	value := func(token string) (string, error) {
		if v, ok := known[token]; ok {
			return v, nil
		}
		return "", unknown
	}
	for _, tc := range []struct {
		text, want string
		err        error
	}{
		{"", "", nil},
		{"plain", "plain", nil},
		{"{A}", "1", nil},
		{"x{A}y{b.c-d_e}z", "x1y2z", nil},
		{"{Brace}", "{A}", nil},
		{`{"A": "{A}"}`, `{"A": "1"}`, nil},
		{"{1} {} { A } {{A}} {A", "{1} {} { A } {1} {A", nil},
		{"{Nobody}", "", unknown},
	} {
		got, err := ParseTemplate(tc.text).Expand(value)
		if got != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: got %q, %v; want %q, %v", tc.text, got, err, tc.want, tc.err)
		}
	}
}

// FuzzSplitArguments: an argument that is quoted as the comment says comes back
// as it was, next to others.
// tokens is what a token looks like, as docs/jobs.md has it.
var tokens = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9._-]*\}`)

func TestTokensAreThoseOfTheExpression(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"{", "}", "a", "Z", "@", "[", "0", ".", "_", "-", " ", "é", "\x80", `"`})).Draw(t, "text"), "")
		var want []Part
		last := 0
		for _, at := range tokens.FindAllStringIndex(text, -1) {
			if at[0] > last {
				want = append(want, Part{Literal: text[last:at[0]]})
			}
			want = append(want, Part{Token: text[at[0]+1 : at[1]-1]})
			last = at[1]
		}
		if last < len(text) {
			want = append(want, Part{Literal: text[last:]})
		}
		if got := ParseTemplate(text).Parts(); !slices.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", text, got, want)
		}
	})
}

func FuzzSplitArguments(f *testing.F) {
	for _, seed := range []string{"", "plain", `two words`, `"`, `\`, `'`, `a\"b`, "{A}", "tab\t", `C:\x\`} {
		f.Add(seed)
	}
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "{", "{{")
	f.Fuzz(func(t *testing.T, arg string) {
		_, _ = SplitArguments(arg)
		if strings.ContainsRune(arg, 0) || strings.ToValidUTF8(arg, "") != arg {
			return
		}
		args, err := SplitArguments(`first "` + quote.Replace(arg) + `" last`)
		if err != nil {
			t.Fatalf("%q: %v", arg, err)
		}
		if got, want := expandAll(t, args, same), []string{"first", arg, "last"}; !slices.Equal(got, want) {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

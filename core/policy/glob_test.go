package policy

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"/usr/bin/id", "/usr/bin/id", true},
		{"/usr/bin/id", "/usr/bin/idd", false},
		{"*", "", true},
		{"*", "anything/at all", true},
		{"a*", "a", true},
		{"a*", "ba", false},
		{"*a", "ba", true},
		{"*a", "ab", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "acb", false},
		{"a*bc*bc", "abcbc", true},
		{"a*bc*bc", "abc", false},
		{"*ab*ab*", "xab", false},
		{"*ab*ab*", "abab", true},
		{"*ab*", "ba", false},
		{"**", "x", true},
		{"a**b", "ab", true},
		{"a.b*", "axb", false},
		{"[ab]*", "a", false},
		{"a?*", "ab", false},
	} {
		if g := parseGlob(tc.pattern); g.match(tc.text) != tc.want {
			t.Errorf("%q on %q: want %v", tc.pattern, tc.text, tc.want)
		}
	}
}

// FuzzGlob compares with Go's regular expressions, for which "*" is ".*".
func FuzzGlob(f *testing.F) {
	f.Add("/usr/*/b*n*", "/usr/x/bin")
	f.Add("*a*aa*", "aaa")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(text) || len(pattern) > 200 {
			return
		}
		expression := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$"
		g := parseGlob(pattern)
		if got, want := g.match(text), regexp.MustCompile(expression).MatchString(text); got != want {
			t.Errorf("%q on %q: got %v, want %v", pattern, text, got, want)
		}
	})
}

// FuzzParse: whatever the bytes, reading them ends, says where it found fault,
// and grants only by a control that grants.
func FuzzParse(f *testing.F) {
	f.Add([]byte(fullModel))
	f.Add([]byte("[" + fullModel + "]"))
	f.Add([]byte(`{"PolicyId":"m","PolicyType":"CommandLine","Controls":["allow"],"Filters":{"UserCheck":{"Users":["*"]}},"Extension":{"AllowCommands":["id *"]}}`))
	f.Add([]byte(`{"PolicyId":"\ud800\"\\","PolicyType":"Custom","x":[[[{"a":"]"}]]]}`))
	f.Add([]byte(sketch{id: "s", controls: "DENY", apps: []string{"{bin}/*", "x", "/a/b", strings.Repeat("0", 64)}}.json()))
	f.Add([]byte(`{"x": {"Type": "user", "Values": ["alice"]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		env := linux()
		if collections, findings := ParseCollections("c.json", data); !Faulty(findings) {
			env.Collections = collections
		}
		policies, findings := engine.Parse("f.json", data)
		for _, f := range findings {
			if f.Found == "" || f.Expected == "" || strings.ContainsAny(f.Error(), "\n\x1b") {
				t.Errorf("finding %#v", f)
			}
		}
		if Faulty(findings) {
			return
		}
		set, _ := engine.Compile(policies, env)
		got := set.Decide(ask("/usr/bin/id", "id", "id", "-u"))
		lower := strings.ToLower(string(data))
		for _, word := range []string{"allow", "mfa", "justify", "approval", `\u`} {
			if strings.Contains(lower, word) {
				return
			}
		}
		if got.Outcome != "DENY" {
			t.Errorf("%s grants: %+v", data, got)
		}
	})
}

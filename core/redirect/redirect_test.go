package redirect

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"kpm/core/fault"
)

const rules = `[
	{"sourceExePattern": "rundll32\\.exe", "commandLinePattern": "ncpa\\.cpl", "elevationOnly": true, "targetExe": "Keeper.NetworkConnections", "targetArguments": "--of 'ann lee'"},
	{"SourceExePattern": "^/usr/bin/(vi|vim)$", "NonAdminOnly": true, "TargetExe": "/usr/bin/rvim", "TargetArguments": ["-R", "a b"]},
	{"commandLinePattern": "--dangerous", "targetExe": "first"},
	{"commandLinePattern": "--dangerous", "targetExe": "second"}
]`

func TestMatch(t *testing.T) {
	parsed, err := Parse(rules)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		subject Subject
		want    Substitute // none if its Rule is 0
	}{
		{"no rule", Subject{Path: "/usr/bin/id", Argv: []string{"id"}}, Substitute{}},
		{"both patterns", Subject{Path: "C:/Windows/rundll32.exe", Argv: []string{"rundll32.exe", "shell32.dll", "ncpa.cpl"}}, Substitute{1, "Keeper.NetworkConnections", nil, "--of 'ann lee'"}},
		{"one of both", Subject{Path: "C:/Windows/rundll32.exe", Argv: []string{"rundll32.exe"}}, Substitute{}},
		{"a standard user", Subject{Path: "/usr/bin/vim"}, Substitute{2, "/usr/bin/rvim", []string{"-R", "a b"}, ""}},
		{"an administrator, for whom the rule is not", Subject{Path: "/usr/bin/vim", Administrator: true}, Substitute{}},
		{"the first match wins", Subject{Path: "/x", Argv: []string{"x", "--dangerous"}}, Substitute{3, "first", nil, ""}},
	} {
		got, ok := parsed.Match(tc.subject)
		if ok != (tc.want.Rule > 0) || got.Rule != tc.want.Rule || got.Target != tc.want.Target || got.Line != tc.want.Line || !slices.Equal(got.Arguments, tc.want.Arguments) {
			t.Errorf("%s: %+v, %v", tc.name, got, ok)
		}
	}
}

func TestArgumentsThatAreNone(t *testing.T) {
	_, err := Parse(`[{"sourceExePattern": "x", "targetExe": "y", "targetArguments": {"a": 1}}]`)
	if err == nil || !strings.Contains(err.Error(), "metadata.redirect.rules[0].targetArguments is neither a text nor a list of texts") {
		t.Error(err)
	}
}

// Attack: of a key given twice one reader obeys the first value, another the
// last: a reviewed rule would redirect something else.
func TestAKeyGivenTwiceIsAFault(t *testing.T) {
	for _, twice := range []string{
		`[{"sourceExePattern": "x", "targetExe": "a", "targetExe": "b"}]`,
		`[{"sourceExePattern": "x", "targetExe": "a", "TARGETEXE": "b"}]`,
	} {
		rules, err := Parse(twice)
		var wrong *fault.Fault
		if !errors.As(err, &wrong) || rules != nil || !strings.EqualFold(wrong.Field, "metadata.redirect.rules[0].targetExe") || wrong.Found != "given twice" {
			t.Errorf("%s: %v, %v", twice, rules, err)
		}
	}
}

func TestACommaTooManyInRulesIsNamed(t *testing.T) {
	rules, err := Parse(`[{"sourceExePattern": "x", "targetExe": "x"},]`)
	if err == nil || rules != nil || !strings.HasSuffix(err.Error(), `expected a list of rules; remove the comma before the "]"`) {
		t.Errorf("%v, %v", rules, err)
	}
}

func TestRulesThatAreNotUTF8AreAFault(t *testing.T) {
	rules, err := Parse("[{\"sourceExePattern\": \"\xff\", \"targetExe\": \"x\"}]")
	if err == nil || rules != nil || !strings.Contains(err.Error(), "metadata.redirect.rules is not UTF-8, expected a list of rules") {
		t.Errorf("%v, %v", rules, err)
	}
}

// FuzzRules: whatever the setting says, a rule that passes can be matched.
func FuzzRules(f *testing.F) {
	f.Add(rules, "/usr/bin/vim", "vim x")
	f.Add(`[]`, "", "")
	f.Add(`[{"sourceExePattern": "(a+)+$", "targetExe": "x"}]`, strings.Repeat("a", 100)+"b", "")
	f.Fuzz(func(t *testing.T, text, file, line string) {
		parsed, err := Parse(text)
		if err != nil {
			return
		}
		if target, ok := parsed.Match(Subject{Path: file, Argv: []string{line}}); ok && target.Target == "" {
			t.Fatalf("%s matched without a target", text)
		}
	})
}

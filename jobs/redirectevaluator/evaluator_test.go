package redirectevaluator

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/core/fault"
	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rules = `[
	{"sourceExePattern": "rundll32\\.exe", "commandLinePattern": "ncpa\\.cpl", "elevationOnly": true, "targetExe": "Keeper.NetworkConnections"},
	{"SourceExePattern": "^/usr/bin/(vi|vim)$", "NonAdminOnly": true, "TargetExe": "/usr/bin/rvim"},
	{"commandLinePattern": "--dangerous", "targetExe": "first \u001b[2J", "targetArguments": "-x"},
	{"commandLinePattern": "--dangerous", "targetExe": "second"}
]`

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   []string
		exit   int
		stdout string
		stderr string
	}{
		{"no rule", []string{"--file=/usr/bin/id", `--command-line=["id"]`, "--user=ann"}, ExitNoMatch, `{"RedirectMatched":false}`, ""},
		{"both patterns", []string{"--file=C:/Windows/rundll32.exe", `--command-line=["rundll32.exe","shell32.dll","ncpa.cpl"]`, "--user=ann"}, ExitMatch,
			`{"RedirectMatched":true,"RedirectTarget":"Keeper.NetworkConnections"}`, "policy redirects this program to Keeper.NetworkConnections"},
		{"one of both", []string{"--file=C:/Windows/rundll32.exe", `--command-line=["rundll32.exe"]`}, ExitNoMatch, `{"RedirectMatched":false}`, ""},
		{"a standard user", []string{"--file=/usr/bin/vim", "--user=ann"}, ExitMatch, `"RedirectTarget":"/usr/bin/rvim"`, "policy redirects"},
		{"root, for whom the rule is not", []string{"--file=/usr/bin/vim", "--user=root"}, ExitNoMatch, `{"RedirectMatched":false}`, ""},
		{"the first match wins", []string{"--file=/x", `--command-line=["x","--dangerous"]`}, ExitMatch, `"RedirectTarget":"first \u001b[2J"`, "policy redirects this program to first \ufffd[2J"},
		{"a file that looks like an option", []string{"--file=--user=root", "--user=ann"}, ExitNoMatch, `{"RedirectMatched":false}`, ""},
		{"no file", []string{"--user=ann"}, ExitFault, "", "usage: RedirectEvaluator"},
		{"too much", []string{"--file=/x", "more"}, ExitFault, "", "usage: RedirectEvaluator"},
		{"an unknown flag", []string{"--fiel=/x"}, ExitFault, "", "flag provided but not defined"},
		{"a command line that is one text", []string{"--file=/x", "--command-line=x"}, ExitNoMatch, `{"RedirectMatched":false}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bus := sdktest.New(t)
			bus.Set(ID, map[string]string{"metadata.Redirect.rules": rules})
			bus.Environment()
			var stdout, stderr bytes.Buffer
			exit := Main(context.Background(), tc.args, nil, &stdout, &stderr)
			if exit != tc.exit || !strings.Contains(stdout.String(), tc.stdout) || !strings.Contains(stderr.String(), tc.stderr) {
				t.Errorf("got %d, %s, %s", exit, stdout.String(), stderr.String())
			}
			if tc.exit == ExitNoMatch && stderr.Len() > 0 || tc.exit == ExitFault && stdout.Len() > 0 {
				t.Errorf("also printed %s%s", stdout.String(), stderr.String())
			}
		})
	}
}

// A rule that cannot be read was written to keep something from being launched.
func TestRulesThatCannotBeReadAreAFault(t *testing.T) {
	for _, tc := range []struct{ name, rules, want string }{
		{"not JSON", `[`, "Plugins/RedirectEvaluator.json: metadata.redirect.rules is not JSON (unexpected end of JSON input), expected a list of rules"},
		{"not a list", `{}`, "metadata.redirect.rules is an object, expected a list"},
		{"a rule that is none", `[5]`, "metadata.redirect.rules[0] is a number, expected an object"},
		{"more behind it", `[] []`, "metadata.redirect.rules is not JSON"},
		{"too deep", `[{"targetArguments": ` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}]`, "is nested too deeply, expected at most 32 levels"},
		{"an expression that is none", `[{"sourceExePattern": "(", "targetExe": "x"}]`, "metadata.redirect.rules[0].sourceExePattern is \"(\" (error parsing regexp"},
		{"the other one", `[{"commandLinePattern": "(", "targetExe": "x"}]`, "metadata.redirect.rules[0].commandLinePattern is \"(\" (error parsing regexp"},
		{"no pattern", `[{"targetExe": "x"}]`, "metadata.redirect.rules[0] is a rule without a pattern, expected sourceExePattern, commandLinePattern or both"},
		{"no target", `[{"sourceExePattern": "x"}]`, "metadata.redirect.rules[0].targetExe is missing"},
		{"too many", `[` + strings.Repeat(`{},`, maxRules) + `{}]`, "a list of 1001 rules, expected at most 1000"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bus := sdktest.New(t)
			bus.Set(ID, map[string]string{"metadata.redirect.rules": tc.rules})
			bus.Environment()
			var stdout, stderr bytes.Buffer
			if exit := Main(context.Background(), []string{"--file=/x"}, nil, &stdout, &stderr); exit != ExitFault || !strings.Contains(stderr.String(), tc.want) {
				t.Errorf("got %d, %s", exit, stderr.String())
			}
		})
	}
}

// Attack: of a key given twice one reader obeys the first value, another the
// last: a reviewed rule would redirect something else.
func TestAKeyGivenTwiceIsAFault(t *testing.T) {
	for _, twice := range []string{
		`[{"sourceExePattern": "x", "targetExe": "a", "targetExe": "b"}]`,
		`[{"sourceExePattern": "x", "targetExe": "a", "TARGETEXE": "b"}]`,
	} {
		rules, err := parseRules(twice)
		var wrong *fault.Fault
		if !errors.As(err, &wrong) || rules != nil || !strings.EqualFold(wrong.Field, "metadata.redirect.rules[0].targetExe") || wrong.Found != "given twice" {
			t.Errorf("%s: %v, %v", twice, rules, err)
		}
	}
}

func TestRulesThatAreNotUTF8AreAFault(t *testing.T) {
	rules, err := parseRules("[{\"sourceExePattern\": \"\xff\", \"targetExe\": \"x\"}]")
	if err == nil || rules != nil || !strings.Contains(err.Error(), "metadata.redirect.rules is not UTF-8, expected a list of rules") {
		t.Errorf("%v, %v", rules, err)
	}
}

func TestWithoutRulesNothingMatches(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(ID, map[string]string{"metadata.redirect.enabled": "true"})
	bus.Environment()
	var stdout, stderr bytes.Buffer
	if exit := Main(context.Background(), []string{"--file=/x"}, nil, &stdout, &stderr); exit != ExitNoMatch {
		t.Errorf("got %d, %s", exit, stderr.String())
	}
}

func TestWithoutItsSettingsItFails(t *testing.T) {
	bus := sdktest.New(t) // an agent that does not know this plugin
	bus.Environment()
	var stdout, stderr bytes.Buffer
	if exit := Main(context.Background(), []string{"--file=/x"}, sdk.Local(), &stdout, &stderr); exit != ExitFault || !strings.Contains(stderr.String(), "404") {
		t.Errorf("got %d, %s", exit, stderr.String())
	}
}

// FuzzRules: whatever the setting says, a rule that passes can be matched.
func FuzzRules(f *testing.F) {
	f.Add(rules, "/usr/bin/vim", "vim x")
	f.Add(`[]`, "", "")
	f.Add(`[{"sourceExePattern": "(a+)+$", "targetExe": "x"}]`, strings.Repeat("a", 100)+"b", "")
	f.Fuzz(func(t *testing.T, text, file, line string) {
		parsed, err := parseRules(text)
		if err != nil {
			return
		}
		if target, ok := match(parsed, subject{file: file, argv: []string{line}}); ok && target == "" {
			t.Fatalf("%s matched without a target", text)
		}
	})
}

package redirectevaluator

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kpm/plugins/sdk"
	"kpm/plugins/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const rules = `[
	{"sourceExePattern": "rundll32\\.exe", "commandLinePattern": "ncpa\\.cpl", "elevationOnly": true, "targetExe": "Keeper.NetworkConnections"},
	{"SourceExePattern": "^/usr/bin/(vi|vim)$", "NonAdminOnly": true, "TargetExe": "/usr/bin/rvim"},
	{"commandLinePattern": "--dangerous", "targetExe": "first", "targetArguments": "-x"}
]`

func TestMatch(t *testing.T) {
	for _, tc := range []struct {
		name   string
		args   []string
		exit   int
		stdout string
		stderr string
	}{
		{"no rule", []string{"--file=/usr/bin/id", `--command-line=["id"]`, "--user=ann"}, ExitOK, `{"RedirectMatched":false}`, ""},
		{"both patterns", []string{"--file=C:/Windows/rundll32.exe", `--command-line=["rundll32.exe","shell32.dll","ncpa.cpl"]`, "--user=ann"}, ExitOK, `{"RedirectMatched":true}`, ""},
		{"one of both", []string{"--file=C:/Windows/rundll32.exe", `--command-line=["rundll32.exe"]`}, ExitOK, `{"RedirectMatched":false}`, ""},
		{"a standard user", []string{"--file=/usr/bin/vim", "--user=ann"}, ExitOK, `{"RedirectMatched":true}`, ""},
		{"root, for whom the rule is not", []string{"--file=/usr/bin/vim", "--user=root"}, ExitOK, `{"RedirectMatched":false}`, ""},
		{"one pattern", []string{"--file=/x", `--command-line=["x","--dangerous"]`}, ExitOK, `{"RedirectMatched":true}`, ""},
		{"a file that looks like an option", []string{"--file=--user=root", "--user=ann"}, ExitOK, `{"RedirectMatched":false}`, ""},
		{"no file", []string{"--user=ann"}, ExitFault, "", "usage: RedirectEvaluator"},
		{"too much", []string{"--file=/x", "more"}, ExitFault, "", "usage: RedirectEvaluator"},
		{"an unknown flag", []string{"--fiel=/x"}, ExitFault, "", "flag provided but not defined"},
		{"a command line that is one text", []string{"--file=/x", "--command-line=x"}, ExitOK, `{"RedirectMatched":false}`, ""},
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
			if tc.exit == ExitOK && stderr.Len() > 0 || tc.exit == ExitFault && stdout.Len() > 0 {
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
		{"too deep", `[{"targetArguments": ` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}]`, "is nested too deeply, expected at most 32 levels"},
		{"an expression that is none", `[{"sourceExePattern": "(", "targetExe": "x"}]`, "metadata.redirect.rules[0].sourceExePattern is \"(\" (error parsing regexp"},
		{"the other one", `[{"commandLinePattern": "(", "targetExe": "x"}]`, "metadata.redirect.rules[0].commandLinePattern is \"(\" (error parsing regexp"},
		{"no pattern", `[{"targetExe": "x"}]`, "metadata.redirect.rules[0] is a rule without a pattern, expected sourceExePattern, commandLinePattern or both"},
		{"no target", `[{"sourceExePattern": "x"}]`, "metadata.redirect.rules[0].targetExe is missing"},
		{"too many", `[` + strings.Repeat(`{},`, 1000) + `{}]`, "a list of 1001 rules, expected at most 1000"},
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

func TestWithoutRulesNothingMatches(t *testing.T) {
	bus := sdktest.New(t)
	bus.Set(ID, map[string]string{"metadata.redirect.enabled": "true"})
	bus.Environment()
	var stdout, stderr bytes.Buffer
	if exit := Main(context.Background(), []string{"--file=/x"}, nil, &stdout, &stderr); exit != ExitOK {
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

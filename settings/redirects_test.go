package settings

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/redirect"
)

func TestRedirects(t *testing.T) {
	root := t.TempDir()
	layout := At(root, "")
	for _, path := range []string{"tools/x", "Plugins/bin/Keeper.NetworkConnections/Keeper.NetworkConnections", "Jobs/bin/rvim/rvim"} {
		if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(root, "Plugins", "RedirectEvaluator.json")
	for _, tc := range []struct {
		name, on, rule string
		want           redirect.Launch
		fault          string
	}{
		{"an absolute path, with words", "true", `"targetExe": "/usr/bin/rvim", "targetArguments": "-R 'a b' {approot}/x"`, redirect.Launch{Rule: 2, Path: "/usr/bin/rvim", Args: []string{"-R", "a b", root + "/x"}}, ""},
		{"a list of arguments, as they are", "TRUE", `"targetExe": "{approot}/tools/x", "targetArguments": ["{approot}", "a b"]`, redirect.Launch{Rule: 2, Path: root + "/tools/x", Args: []string{"{approot}", "a b"}}, ""},
		{"below the root", "true", `"targetExe": "tools/x"`, redirect.Launch{Rule: 2, Path: root + "/tools/x"}, ""},
		{"a plugin's name", "true", `"targetExe": "Keeper.NetworkConnections"`, redirect.Launch{Rule: 2, Path: root + "/Plugins/bin/Keeper.NetworkConnections/Keeper.NetworkConnections"}, ""},
		{"a task's name", "true", `"targetExe": "rvim"`, redirect.Launch{Rule: 2, Path: root + "/Jobs/bin/rvim/rvim"}, ""},
		{"switched off", "false", `"targetExe": "nothing"`, redirect.Launch{}, ""},
		{"not switched on", "", `"targetExe": "nothing"`, redirect.Launch{}, ""},
		{"nothing of that name", "true", `"targetExe": "nothing"`, redirect.Launch{}, `RedirectEvaluator.json:1: metadata.redirect.rules[1].targetExe is "nothing", expected an absolute path, or a program below`},
		{"what lies outside", "true", `"targetExe": "../tools/x"`, redirect.Launch{}, "targetExe"},
		{"another token", "true", `"targetExe": "/home/{UserName}/x"`, redirect.Launch{}, "no token but {approot}"},
		{"half a quote", "true", `"targetExe": "/x", "targetArguments": "'a"`, redirect.Launch{}, "targetArguments"},
		{"rules that are none", "true", `"targetExe": 5`, redirect.Launch{}, "metadata.redirect.rules[1].targetExe is a number"},
	} {
		text := `{"id": "RedirectEvaluator", "Metadata": {"Redirect": {"rules": [{"sourceExePattern": "^/nothing$", "targetExe": "/x"}, {"sourceExePattern": "/vim$", ` + tc.rule + `}]}}}`
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		r := Redirects{
			Layout: layout, Platform: core.Linux, Read: func(path string, _ int64) ([]byte, error) { return os.ReadFile(path) },
			Setting: func(plugin, key string) (string, bool) {
				return tc.on, plugin == "RedirectEvaluator" && key == "metadata.redirect.enabled"
			},
		}
		got, ok, err := r.Find(redirect.Subject{Path: "/usr/bin/vim"})
		if (err == nil) != (tc.fault == "") || err != nil && !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%s: %v", tc.name, err)
		}
		if ok != (tc.want.Rule > 0) || got.Path != tc.want.Path || got.Rule != tc.want.Rule || !slices.Equal(got.Args, tc.want.Args) {
			t.Errorf("%s: %+v, %v", tc.name, got, ok)
		}
		if _, ok, err := r.Find(redirect.Subject{Path: "/usr/bin/id"}); ok || err != nil && !strings.Contains(tc.name, "none") {
			t.Errorf("%s: another program: %v, %v", tc.name, ok, err)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r := Redirects{Layout: layout, Read: func(path string, _ int64) ([]byte, error) { return os.ReadFile(path) }, Setting: func(string, string) (string, bool) { return "true", true }}
	if _, ok, err := r.Find(redirect.Subject{Path: "/usr/bin/vim"}); ok || err != nil {
		t.Errorf("without a file: %v, %v", ok, err)
	}
}

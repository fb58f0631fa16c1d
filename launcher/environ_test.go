package launcher

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/platform/linux"
)

// documented returns docs/settings.md, "Environment of elevated commands".
func documented(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../docs/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "\n## Environment of elevated commands\n")
	if !found {
		t.Fatal("docs/settings.md has no such section")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

func TestTheEnvironmentIsTheDocumentation(t *testing.T) {
	table, prose, found := strings.Cut(documented(t), "\n\nSet by the service:")
	if !found {
		t.Fatal("no list of what the service sets")
	}
	code := regexp.MustCompile("`([A-Z_*]+)`")
	var names, ours []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, m := range code.FindAllStringSubmatch(cells[1], -1) {
				names = append(names, m[1])
			}
		}
	}
	for _, k := range kept {
		ours = append(ours, k.name)
	}
	if diff := cmp.Diff(names, ours); diff != "" {
		t.Errorf("kept from the caller: docs (-) and code (+) differ: %s", diff)
	}
	var set []string
	for _, m := range regexp.MustCompile("`([A-Z_]+)(?:=([^`]*))?`").FindAllStringSubmatch(prose, -1) {
		set = append(set, m[1])
		if m[2] != "" && !slices.Contains(environment(linux.Facts().BaseEnvironment, nil, subject(), "R"), m[1]+"="+m[2]) {
			t.Errorf("%s is not %s", m[1], m[2])
		}
	}
	ours = nil
	copied := subject()
	copied.Executable.Interpreter, copied.Executable.Requested = "/bin/sh", "/home/ada/s"
	for _, variable := range environment(linux.Facts().BaseEnvironment, nil, copied, "R") {
		name, _, _ := strings.Cut(variable, "=")
		ours = append(ours, name)
	}
	slices.Sort(set)
	slices.Sort(ours)
	if diff := cmp.Diff(set, ours); diff != "" {
		t.Errorf("set by the service: docs (-) and code (+) differ: %s", diff)
	}
}

func subject() core.Subject {
	return core.Subject{Caller: ada, Target: root, Executable: core.Executable{Path: "/usr/bin/id"}, Argv: []string{"id", "-u", "x y"}}
}

func TestOnlyCheckedVariablesAreKept(t *testing.T) {
	cases := []struct {
		variable string
		kept     bool
	}{
		{"TERM=xterm-256color", true}, {"TERM=", true}, {"COLORTERM=truecolor", true},
		{"TERM=../../home/ada/terminfo", false}, {"TERM=/tmp/x", false}, {"TERM=x y", false}, {"TERM=" + strings.Repeat("x", 65), false},
		{"LANG=de_DE.UTF-8@euro", true}, {"LANGUAGE=de:en", true}, {"LC_ALL=C", true}, {"LC_MESSAGES=de_DE", true},
		{"LANG=../x", false}, {"LANG=%n", false}, {"LC_=C", false}, {"LC_A-B=C", false}, {"LC_" + strings.Repeat("A", 64) + "=C", false},
		{"TZ=Europe/Berlin", true}, {"TZ=UTC+3", true}, {"TZ=", true},
		{"TZ=/etc/shadow", false}, {"TZ=:/etc/shadow", false}, {"TZ=../../etc/shadow", false}, {"TZ=a/../b", false},
		{"NO_COLOR=1", true}, {"NO_COLOR=\x1b[2J", false}, {"NO_COLOR=\u00e4", false},
		{"PATH=/tmp", false}, {"LD_PRELOAD=/tmp/x.so", false}, {"LD_LIBRARY_PATH=/tmp", false}, {"BASH_ENV=/tmp/x", false},
		{"ENV=/tmp/x", false}, {"IFS=x", false}, {"PYTHONPATH=/tmp", false}, {"PERL5OPT=-Mx", false}, {"HOME=/tmp", false},
		{"BASH_FUNC_ls%%=() { id; }", false}, {"term=xterm", false}, {"TERMINFO=/tmp", false}, {"TERM", false}, {"=x", false}, {"", false},
		{"KEEPER_REQUEST_ID=forged", false}, {"KEEPER_REQUESTING_USER=root", false}, {"SUDO_USER=root", false},
	}
	base := len(environment(linux.Facts().BaseEnvironment, nil, subject(), "R"))
	for _, c := range cases {
		env := environment(linux.Facts().BaseEnvironment, []string{c.variable}, subject(), "R")
		if got := len(env) > base; got != c.kept || got && env[base] != c.variable {
			t.Errorf("%q: kept %v, expected %v", c.variable, got, c.kept)
		}
	}
	env := environment(linux.Facts().BaseEnvironment, []string{"TERM=a", "TERM=b"}, subject(), "R")
	if len(env) != base+1 || env[base] != "TERM=a" {
		t.Errorf("offered twice: %q", env[base:])
	}
}

func TestWhatTheServiceSets(t *testing.T) {
	s := subject()
	want := []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "SHELL=/bin/bash", "USER=root", "LOGNAME=root",
		"SUDO_USER=ada", "SUDO_UID=1000", "SUDO_GID=1000", "SUDO_COMMAND=/usr/bin/id -u x y", "KEEPER_REQUEST_ID=R",
		"KEEPER_REQUESTING_USER=ada", "KEEPER_REQUESTING_USER_ID=1000",
	}
	if diff := cmp.Diff(want, environment(linux.Facts().BaseEnvironment, nil, s, "R")); diff != "" {
		t.Error(diff)
	}
	s.Argv = []string{"id", "\x1b", strings.Repeat("\u00e4", 5000)}
	if line := sudoCommand(s); len(line) > maxSudoCommand || strings.Contains(line, "\x1b") || strings.ToValidUTF8(line, "") != line {
		t.Errorf("SUDO_COMMAND of %d bytes: %q", len(line), line[:40])
	}
}

// FuzzEnvironment offers anything: what is kept is on the list, once, short,
// and nothing that a shell, a loader or a terminal would act on.
func FuzzEnvironment(f *testing.F) {
	f.Add("TERM=xterm", "LC_ALL=de_DE.UTF-8")
	f.Add("TZ=../../etc/shadow", "TZ=UTC")
	f.Add("LC_=", "=\x00")
	base := len(environment(linux.Facts().BaseEnvironment, nil, subject(), "R"))
	f.Fuzz(func(t *testing.T, a, b string) {
		seen := map[string]bool{}
		for _, variable := range environment(linux.Facts().BaseEnvironment, []string{a, b}, subject(), "R")[base:] {
			name, value, _ := strings.Cut(variable, "=")
			known := slices.ContainsFunc(kept, func(k struct {
				name  string
				check func(string) bool
			}) bool {
				return name == k.name || strings.HasSuffix(k.name, "*") && strings.HasPrefix(name, strings.TrimSuffix(k.name, "*"))
			})
			if !known || seen[name] || len(variable) > 2*maxValue+1 || strings.Contains(value, "..") && name == "TZ" ||
				strings.ContainsFunc(variable, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("kept %q", variable)
			}
			seen[name] = true
		}
	})
}

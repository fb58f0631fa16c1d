package kpm_test

import (
	"go/ast"
	"go/build/constraint"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ownCalls are the files outside of platform that reach an operating system by more
// than the standard library's portable part, what they do that by, and why.
var ownCalls = map[string]map[string]string{
	"api/client/edit/edit.go":    {"os/exec": "a person's own editor, and keepersudo, as the person"},
	"cmd/keeperAgent/main.go":    {"os/exec": "keepersudo, as the person"},
	"cmd/KeeperAdminCLI/main.go": {"os/exec": "the service's own program, for an administrator who removes the agent"},

	"jobs/inventory/machine.go": {"github.com/shirou/gopsutil/": "facts for people to read, which nothing is decided by"},
	"jobs/inventory/users.go":   {"github.com/shirou/gopsutil/": "facts for people to read, which nothing is decided by"},

	"plugins/keeperpolicy/candidate.go":  {"os/user": "what files say of a name, for reports and checks"},
	"plugins/keeperpolicy/groups.go":     {"os/user": "whether a group that a policy names is on this machine"},
	"plugins/keeperpolicy/lint_files.go": {"os/user": "whether a name that a policy has is on this machine"},
	"plugins/keeperpolicy/question.go":   {"os/user": "whether a name that a policy has is on this machine"},

	"plugins/sdk/network_unix.go":    {"constraint": "plugins are no part of the agent, and link nothing of platform but a pipe"},
	"plugins/sdk/network_windows.go": {"constraint": "plugins are no part of the agent, and link nothing of platform but a pipe"},

	"settings/layout.go":                         {"runtime.GOOS": "where the agent is, by core's table"},
	"plugins/keeperpolicy/machine.go":            {"runtime.GOOS": "whose paths policies have, by core's table"},
	"api/client/admincli/support_collect.go":     {"runtime.GOOS": "said to whoever gives support"},
	"cmd/keeperlaunch/doc.go":                    {"constraint": "held on three systems"},
	"cmd/keeperreader/main.go":                   {"constraint": "confined on three systems"},
	"cmd/KeeperPrivilegeManager/system_other.go": {"constraint": "has none of the commands of the others"},
}

// portableNames of package syscall mean the same everywhere, or nothing: signals,
// errors, flags of os.OpenFile, and types that the standard library's interfaces have.
var portableNames = regexp.MustCompile(`^(SIG[A-Z0-9]+|E[A-Z0-9]+|O_[A-Z]+|Errno|RawConn|Signal)$`)

// systemImports are the packages by which a file can make a system's calls, or load
// code that does, by how their paths begin.
var systemImports = []string{"C", "github.com/shirou/gopsutil/", "golang.org/x/sys/", "golang.org/x/term", "os/exec", "os/user", "plugin", "runtime/cgo", "unsafe"}

// ours are the folders in which code may make calls: platform, which is what it is for,
// and what nobody installs.
var ours = []string{"platform", "vmtests", "packaging", "core/spintest", "trust/tpm/tpmtest", "trust/openpgp/gpgtest"}

// Nothing but platform calls an operating system or differs from one to the next: what
// the rooms decide, they decide by the same code on each, which the tests of one system
// have run. A main may have a file for a system that hands its ports on.
func TestOnlyPlatformCallsTheSystem(t *testing.T) {
	seen := map[string][]string{}
	sources(t, func(path string) {
		path = filepath.ToSlash(path)
		if strings.HasSuffix(path, "_test.go") || slices.ContainsFunc(ours, func(folder string) bool { return under(path, folder) }) {
			return
		}
		for _, reach := range reaches(t, path) {
			seen[path] = append(seen[path], reach)
			if reach == "constraint" && onlyHandsOn(t, path) {
				continue
			}
			if ownCalls[path][reach] == "" {
				t.Errorf("%s: %s: what a system does belongs in platform, behind a port", path, reach)
			}
		}
	})
	for path, reasons := range ownCalls {
		for reach := range maps.Keys(reasons) {
			if !slices.Contains(seen[path], reach) {
				t.Errorf("%s does without %s: remove its exception", path, reach)
			}
		}
	}
}

// onlyHandsOn reports whether a file is a main's that makes a port or program of
// platform its own.
func onlyHandsOn(t *testing.T, path string) bool {
	t.Helper()
	if !under(path, "cmd") {
		return false
	}
	for _, imported := range parse(t, path).Imports {
		if strings.HasPrefix(imported.Path.Value, `"kpm/platform/`) {
			return true
		}
	}
	return strings.HasSuffix(path, "/main_other.go")
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// systemNames end the names of files that are built for one system alone.
var systemNames = regexp.MustCompile(`_(linux|windows|darwin|unix|amd64|arm64)\.go$`)

// reaches returns by what a file reaches the operating system: the beginning of an
// import, a name of syscall, runtime.GOOS, or "constraint" if it is not built for
// all systems.
func reaches(t *testing.T, path string) []string {
	t.Helper()
	file, found := parse(t, path), map[string]bool{}
	for _, imported := range file.Imports {
		name, err := strconv.Unquote(imported.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		for _, system := range systemImports {
			if name == system || strings.HasSuffix(system, "/") && strings.HasPrefix(name, system) {
				found[system] = true
			}
		}
		if name == "syscall" && imported.Name != nil || name == "runtime" && imported.Name != nil {
			found["import "+imported.Name.Name+" "+name] = true // whose names are not looked for below
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			switch x, _ := s.X.(*ast.Ident); {
			case x == nil:
			case x.Name == "syscall" && !portableNames.MatchString(s.Sel.Name):
				found["syscall."+s.Sel.Name] = true
			case x.Name == "runtime" && s.Sel.Name == "GOOS":
				found["runtime.GOOS"] = true
			}
		}
		return true
	})
	if systemNames.MatchString(path) {
		found["constraint"] = true
	}
	for _, group := range file.Comments {
		for _, c := range group.List {
			if constraint.IsGoBuild(c.Text) {
				found["constraint"] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

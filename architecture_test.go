// Package kpm_test keeps the rules of ARCHITECTURE.md: which room may import
// which, that every package says what it is for, and that no test can be
// skipped.
package kpm_test

import (
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// floors lists the house from top to bottom (ARCHITECTURE.md, "Floors"). A
// room imports rooms on lower floors only, and nothing else on its own.
var floors = [][]string{
	{"cmd", "packaging", "vmtests"},
	{"service"},
	{"api", "jobs", "plugins"},
	{"broker", "settings", "launcher"},
	{"trust"},
	{"core", "docs"},
}

// exceptions are the packages whose imports are a closed list.
var exceptions = map[string][]string{
	"platform":                   {"core", "trust", "platform"},
	"plugins/sdk":                {"core", "platform/windows/pipe"}, // what a local socket is there
	"plugins/keeperpolicy":       {"core", "plugins/sdk"},
	"plugins/keeperlogger":       {"core", "plugins/sdk"},
	"jobs/redirectevaluator":     {"core", "plugins/sdk"},
	"jobs/inventory":             {"core"},
	"cmd/KeeperPolicy":           {"core", "plugins/sdk", "plugins/keeperpolicy", "platform/files", "platform/rest", "platform/turns"},
	"cmd/KeeperLogger":           {"core", "plugins/sdk", "plugins/keeperlogger", "platform/owner", "platform/rest", "platform/systemlog"},
	"cmd/RedirectEvaluator":      {"core", "plugins/sdk", "jobs/redirectevaluator"},
	"cmd/KeeperInventory":        {"jobs/inventory"},
	"cmd/KeeperMFA":              {"api/client/dialog", "core/dialog", "platform/dialog"},
	"cmd/KeeperJustification":    {"api/client/dialog", "core/dialog", "platform/dialog"},
	"cmd/KeeperApproval":         {"api/client/dialog", "core/dialog", "platform/dialog"},
	"api/client/dialog":          {"core/dialog"},
	"cmd/KeeperClient":           {"api/client/notices", "core/dialog", "platform"},
	"api/client/notices":         {"api/client", "core", "settings"},
	"cmd/keepersudo":             {"api/client/sudo", "platform/caller"},
	"cmd/keeperedit":             {"api/client/edit", "platform/files"},
	"api/client/edit":            {},
	"cmd/KeeperRunAs":            {"api/client/runas", "api/client/sudo", "platform/caller", "platform/windows/shell"},
	"api/client/runas":           {},
	"api/client/sudo":            {"core/door", "core/port/caller", "core/signal", "core/span"},
	"platform/caller":            {"core/port/caller", "core/signal", "platform/unix/caller", "platform/windows/caller"},
	"platform/unix/caller":       {"core/port/caller", "core/signal", "platform/linux/early", "platform/linux/held", "platform/darwin/held"}, // held: what its helper is asked
	"platform/linux/early":       {"core/door"},
	"platform/windows/caller":    {"core/port/caller", "core/signal", "platform/windows/pipe", "platform/windows/held"}, // sizes of a console
	"cmd/keeperlaunch":           {"platform/linux/held", "platform/windows/held", "platform/darwin/helper", "platform/darwin/libsystem"},
	"cmd/keeperexec":             {"launcher/execution", "platform/linux/execution"},
	"cmd/keeperreader":           {"core/port", "platform/linux/confined", "platform/windows/confined", "platform/darwin/confined", "platform/darwin/libsystem", "trust/reader"},
	"cmd/keeperpam":              {"platform/unix/pam/libpam"},
	"cmd/KeeperAdminCLI":         {"api/client/admincli", "core", "platform", "settings", "plugins/keeperpolicy", "jobs", "launcher/control"}, // policies and jobs are read as the plugin and the service do
	"cmd/keeperAgent":            {"api/client/agent", "platform"},
	"api/client/agent":           {"api/client", "core", "settings"},
	"api/client/approvals":       {"core"},
	"api/client/enrollment":      {"core"},
	"api/client":                 {"core", "launcher/journal", "settings", "trust"},
	"api/client/admincli":        {"api/client", "core", "launcher/journal", "settings", "trust", "plugins/scaffold"}, // which is text
	"service":                    {"api", "broker", "core", "jobs", "launcher", "plugins", "settings", "trust"},
	"cmd/KeeperPrivilegeManager": {"service", "platform", "settings", "core"},
}

// pure are packages that may not import the listed ones. For the lean ones, nor
// may anything that they import: people wait for these programs at every
// elevation, and what a program links is time.
var (
	pure = map[string][]string{
		"core/policy": {"os", "os/exec", "net", "net/http"},
		"core/wire":   {"os", "os/exec", "net"},
	}
	lean = map[string][]string{
		"core/door":        {"fmt", "net", "encoding/json", "os/exec"},
		"cmd/keepersudo":   {"fmt", "net", "encoding/json", "os/exec", "crypto/tls", "net/http"},
		"core/port/caller": {"fmt", "net", "encoding/json", "os/exec"},
		"api/client/sudo":  {"fmt", "net", "encoding/json", "os/exec"},
		"platform/caller":  {"fmt", "net", "encoding/json", "os/exec"},
		"cmd/keeperlaunch": {"fmt", "net", "encoding/json", "os/exec"},
		// What a user chose is parsed in keeperreader, and not by root; PAM's modules
		// are loaded into keeperpam, and into nothing that goes on.
		"cmd/KeeperPrivilegeManager": {
			"kpm/platform/unix/pam/libpam",
			"kpm/trust/authenticode", "kpm/trust/macho", "kpm/trust/ima", "kpm/trust/archive", "kpm/trust/cms", "kpm/trust/chain", "kpm/trust/timestamp", "kpm/trust/reader/judge",
		},
	}
)

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, goos string) map[string]goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Env = append(os.Environ(), "GOOS="+goos, "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string]goPackage{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found[strings.TrimPrefix(p.ImportPath, "kpm/")] = p
	}
}

func under(pkg, room string) bool { return pkg == room || strings.HasPrefix(pkg, room+"/") }

// longest returns the most specific key of rules that covers pkg.
func longest(pkg string, rules map[string][]string) (string, bool) {
	best := ""
	for key := range rules {
		if under(pkg, key) && len(key) > len(best) {
			best = key
		}
	}
	return best, best != ""
}

func floorOf(pkg string) (int, string) {
	for i, rooms := range floors {
		for _, room := range rooms {
			if under(pkg, room) {
				return i, room
			}
		}
	}
	return -1, ""
}

func TestImportsPointDown(t *testing.T) {
	for _, goos := range []string{"linux", "windows", "darwin"} {
		for pkg, info := range list(t, goos) {
			for _, imported := range info.Imports {
				to, ours := strings.CutPrefix(imported, "kpm/")
				if !ours {
					continue
				}
				if key, ok := longest(pkg, exceptions); ok {
					allowed := append([]string{key}, exceptions[key]...)
					if !slices.ContainsFunc(allowed, func(room string) bool { return under(to, room) }) {
						t.Errorf("%s: %s imports %s, allowed are %v", goos, pkg, to, exceptions[key])
					}
					continue
				}
				fromFloor, fromRoom := floorOf(pkg)
				toFloor, toRoom := floorOf(to)
				switch {
				case fromFloor < 0:
					t.Errorf("%s: %s belongs to no floor", goos, pkg)
				case toRoom == fromRoom:
				case toFloor < 0 && fromFloor != 0:
					t.Errorf("%s: %s imports %s: only mains and service may", goos, pkg, to)
				case toFloor >= 0 && toFloor <= fromFloor:
					t.Errorf("%s: %s imports %s, which is not on a lower floor", goos, pkg, to)
				}
			}
		}
	}
}

func TestPurePackagesStayPure(t *testing.T) {
	packages := list(t, "linux")
	check := func(rules map[string][]string, uses func(goPackage) []string) {
		for pkg, forbidden := range rules {
			info, ok := packages[pkg]
			if !ok {
				t.Errorf("%s: no such package", pkg)
			}
			for _, dep := range forbidden {
				if slices.Contains(uses(info), dep) {
					t.Errorf("%s uses %s", pkg, dep)
				}
			}
		}
	}
	check(pure, func(p goPackage) []string { return p.Imports })
	check(lean, func(p goPackage) []string { return p.Deps })
}

// sources calls visit for every Go file of the module.
func sources(t *testing.T, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (path == "build" || path == ".git" || entry.Name() == "testdata") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			visit(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestEveryPackageHasOneDocComment(t *testing.T) {
	docs := map[string][]string{}
	sources(t, func(path string) {
		dir := filepath.Dir(path)
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if docs[dir] == nil {
			docs[dir] = []string{}
		}
		if file.Doc != nil {
			docs[dir] = append(docs[dir], path)
		}
	})
	for dir, files := range docs {
		if len(files) != 1 {
			t.Errorf("%s: package doc comments in %v, expected exactly one", dir, files)
		}
	}
}

func TestNoTestIsSkipped(t *testing.T) {
	needle := "." + "Skip"
	sources(t, func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// A suite that several packages run has its tests in a file of another name.
		if !strings.HasSuffix(path, "_test.go") && !strings.Contains(string(data), "\"testing\"") {
			return
		}
		for i, line := range strings.Split(string(data), "\n") {
			for _, receiver := range []string{"t", "b", "f", "tb"} {
				for _, call := range []string{"(", "f(", "Now("} {
					if strings.Contains(line, receiver+needle+call) {
						t.Errorf("%s:%d skips: a skipped test proves nothing", path, i+1)
					}
				}
			}
		}
	})
}

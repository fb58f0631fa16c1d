package main

import (
	"context"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kpm/settings"
)

// program is an executable of the agent. This table is the one place that says which
// there are: what `make stage` builds, what packages hold, what an upgrade sets aside
// and approves, what is on the PATH, and which manual pages are made.
type program struct {
	name   string   // its folder below cmd/, and its file
	folder string   // of the agent root, with slashes
	only   []string // the systems that it is for; empty for all
	// windowed programs have no console on Windows, where one would flash up.
	windowed bool
	pie      bool // linked with foreign libraries, it lies nowhere in particular
	onPath   bool
	// manual is the section of the manual page that is made of its --help; empty if
	// another page tells of it.
	manual string
	about  string // what that page says in one line
}

// PAM is not Windows', and Explorer is nobody else's.
var programs = []program{
	{name: "KeeperPrivilegeManager", manual: "8", about: "run single privileged programs for people, as policy allows"},
	{name: "KeeperAdminCLI", onPath: true},
	{name: "keeperAgent", onPath: true},
	{name: "keepersudo", onPath: true},
	{name: "KeeperClient", windowed: true, manual: "1", about: "show on the desktop what becomes of your requests"},
	{name: "keeperlaunch", manual: "8", about: "becomes the programs that the agent launches"},
	{name: "keeperexec", only: []string{"linux"}, manual: "8", about: "stops programs before they run, where that is switched on"},
	{name: "keeperreader", manual: "8", about: "reads signatures for the agent"},
	{name: "keeperpam", only: []string{"linux", "darwin"}, pie: true, manual: "8", about: "asks PAM for the agent"},
	{name: "keeperedit", only: []string{"linux", "darwin"}, manual: "8", about: "edits files for keepersudo -e"},
	{name: "KeeperRunAs", only: []string{"windows"}, windowed: true},
	{name: "KeeperPolicy", folder: "Plugins/bin/KeeperPolicy", onPath: true, manual: "1", about: "decide requests by policies, and check policy files"},
	{name: "KeeperLogger", folder: "Plugins/bin/KeeperLogger", manual: "8", about: "write the log of plugins and jobs"},
	{name: "RedirectEvaluator", folder: "Jobs/bin/RedirectEvaluator", manual: "8", about: "say whether a launch is redirected"},
	{name: "KeeperMFA", folder: "Jobs/bin/KeeperMFA", windowed: true, manual: "8", about: "ask for a code on the desktop"},
	{name: "KeeperJustification", folder: "Jobs/bin/KeeperJustification", windowed: true, manual: "8", about: "ask for a reason on the desktop"},
	{name: "KeeperApproval", folder: "Jobs/bin/KeeperApproval", windowed: true, manual: "8", about: "ask for an approval on the desktop"},
	{name: "KeeperInventory", folder: "Jobs/bin/KeeperInventory", manual: "8", about: "write down what is on a machine"},
}

// of are the programs for a system.
func of(system string) []program {
	return slices.DeleteFunc(slices.Clone(programs), func(p program) bool {
		return len(p.only) > 0 && !slices.Contains(p.only, system)
	})
}

// file is the program's place in the agent root of a system.
func (p program) file(system string) string {
	if system == "windows" {
		return path.Join(p.folder, p.name+".exe")
	}
	return path.Join(p.folder, p.name)
}

// linker is what the linker is told besides the version.
func (p program) linker(system string) string {
	flags := "-s -w"
	if p.windowed && system == "windows" {
		flags += " -H windowsgui"
	}
	if p.name == "keepersudo" && system == "linux" {
		flags += " -E keepersudo_entry" // it begins before the Go runtime does: platform/linux/early
	}
	return flags
}

func (p program) mode() string {
	if p.pie {
		return "-buildmode=pie"
	}
	return "-buildmode=default"
}

// words are names for a shell script.
func words(list []program, word func(program) string) string {
	var all []string
	for _, p := range list {
		if w := word(p); w != "" && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return strings.Join(all, " ")
}

// fill puts into a script what it is to know of the programs for a system.
func (r *release) fill(script []byte, system string) []byte {
	list := of(system)
	return []byte(strings.NewReplacer(
		"@VERSION@", r.version, "@FORMAT@", strconv.Itoa(settings.StateFormat),
		// What this brings of plugins and tasks, which are approved by folder.
		"@FOLDERS@", words(list, func(p program) string {
			if p.folder == "" {
				return ""
			}
			return p.folder + "/"
		}),
		"@ONPATH@", words(list, func(p program) string {
			if !p.onPath {
				return ""
			}
			return p.file(system)
		}),
	).Replace(string(script)))
}

// stageHere builds the programs of this system into an agent root for tests and for
// trying things: as fast as the go command can.
func (r *release) stageHere(ctx context.Context, system, root string) error {
	together := map[[3]string][]string{}
	for _, p := range of(system) {
		as := [3]string{p.folder, p.mode(), p.linker(system)}
		together[as] = append(together[as], "./cmd/"+p.name)
	}
	order := func(a, b [3]string) int { return slices.Compare(a[:], b[:]) }
	for _, as := range slices.SortedFunc(maps.Keys(together), order) {
		into := filepath.Join(root, as[0]) + string(filepath.Separator)
		argv := append([]string{"go", "build", as[1], "-trimpath", "-ldflags", as[2], "-o", into}, together[as]...)
		if err := r.command(ctx, []string{"CGO_ENABLED=0"}, argv...); err != nil {
			return err
		}
	}
	return besidePrograms(system, root)
}

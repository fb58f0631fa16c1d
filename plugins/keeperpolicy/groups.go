package keeperpolicy

import (
	"bytes"
	"os"
	"os/user"
	"slices"
	"strings"
	"sync"
	"time"

	"kpm/core"
)

// groups tells which groups that policies name this machine does not have.
type groups struct {
	mu            sync.Mutex
	file, sources watchedFile
	asked         []string // what missing is about
	missing       []string
	at            time.Time
	all           bool // every name is a group's
}

// missingAge is how long it is believed where no file says that it has changed.
const missingAge = 5 * time.Second

// missingOf returns those of names, sorted, that are no group. On a machine
// whose groups come from a directory too, every name may be one of its: in which
// groups somebody is, the service asks there.
func (g *groups) missingOf(names []string) []string {
	if len(names) == 0 || g.all {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	linux := platform() == core.Linux
	// Both are looked at, whatever the first says.
	changed := g.file.changed()
	changed = g.sources.changed() || changed
	if linux && changed || !linux && time.Since(g.at) > missingAge || !slices.Equal(g.asked, names) {
		g.asked, g.missing, g.at = names, nil, time.Now()
		switch {
		case !linux:
			g.missing = without(names, func(name string) bool { _, err := user.LookupGroup(name); return err == nil })
		case !namesDirectory(g.sources.path, "group"):
			there := groupNames(g.file.path)
			g.missing = without(names, func(name string) bool { return there[name] })
		}
	}
	return g.missing
}

// isMissing is missingOf for one name, when policies are read.
func (g *groups) isMissing(name string) bool {
	one := groups{all: g.all, file: watchedFile{path: g.file.path}, sources: watchedFile{path: g.sources.path}}
	return len(one.missingOf([]string{name})) > 0
}

func without(names []string, there func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(names), there)
}

// groupNames are the names of group(5). Without the file nobody is in a group.
func groupNames(path string) map[string]bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for line := range bytes.Lines(data) {
		if name, _, ok := strings.Cut(string(line), ":"); ok {
			names[name] = true
		}
	}
	return names
}

// namesDirectory reports whether nsswitch.conf(5) names a source for a database that is
// no file. What systemd makes of its own accounts is none.
func namesDirectory(path, of string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		database, sources, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(database) != of {
			continue
		}
		return slices.ContainsFunc(strings.Fields(sources), func(source string) bool {
			return !strings.ContainsAny(source, "[]=") && source != "files" && source != "compat" && source != "systemd"
		})
	}
	return false
}

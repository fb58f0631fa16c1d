//go:build unix

package darwin

import (
	"slices"
	"strings"
	"testing"

	"kpm/platform/darwin/kernel"
)

// Attack: a process that only believes to be confined is handed a file. Each fact
// that the kernel must state is missed by itself.
func TestWhatIsNotConfined(t *testing.T) {
	const service, user, path = 300, firstConfined + 7, "/opt/agent/keeperreader"
	good := func() confinedFacts {
		return confinedFacts{
			process: kernel.Process{PID: 812, Parent: service, Group: 812, User: user, RealUser: user, SavedUser: user, RealGroup: user, SavedGroup: user},
			groups:  []uint32{user}, path: path, sandboxed: true, memory: kernel.FatalMemoryLimit(512),
			descriptors: []kernel.Descriptor{{Number: 0, Kind: kernel.KindFile}, {Number: 1, Kind: kernel.KindFile}, {Number: 2, Kind: kernel.KindFile}, {Number: 3, Kind: kernel.KindSocket}, {Number: 4, Kind: kernel.KindQueue}},
		}
	}
	if err := good().fault(service, path, user); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*confinedFacts)
		says   string
	}{
		"another's child":       {func(f *confinedFacts) { f.process.Parent = 1 }, "a child of 1"},
		"one that has ended":    {func(f *confinedFacts) { f.process.Zombie = true }, "zombie: true"},
		"the service's group":   {func(f *confinedFacts) { f.process.Group = service }, "process group 300"},
		"root":                  {func(f *confinedFacts) { f.process.User = 0 }, "it is user"},
		"root before":           {func(f *confinedFacts) { f.process.RealUser = 0 }, "it is user 0"},
		"root to come":          {func(f *confinedFacts) { f.process.SavedUser = 0 }, ", 0, expected"},
		"another reader's user": {func(f *confinedFacts) { f.process.User++ }, "it is user"},
		"group wheel":           {func(f *confinedFacts) { f.groups[0] = 0 }, "the groups"},
		"one group more":        {func(f *confinedFacts) { f.groups = append(f.groups, 80) }, " 80]"},
		"no group":              {func(f *confinedFacts) { f.groups = nil }, "[]"},
		"group wheel before":    {func(f *confinedFacts) { f.process.RealGroup = 0 }, "the groups 0"},
		"group wheel to come":   {func(f *confinedFacts) { f.process.SavedGroup = 0 }, ", 0, ["},
		"another program":       {func(f *confinedFacts) { f.path = "/bin/cat" }, `"/bin/cat"`},
		"no sandbox":            {func(f *confinedFacts) { f.sandboxed = false }, "no sandbox"},
		"a wide sandbox":        {func(f *confinedFacts) { f.allowed = []string{"mach-lookup"} }, "allows mach-lookup"},
		"more memory":           {func(f *confinedFacts) { f.memory.Inactive = 1024 }, "1024"},
		"memory without an end": {func(f *confinedFacts) { f.memory.ActiveFatal = false }, "memory"},
		"a file":                {func(f *confinedFacts) { f.descriptors[4].Kind = kernel.KindFile }, "descriptor 4"},
		"another socket":        {func(f *confinedFacts) { f.descriptors[4].Kind = kernel.KindSocket }, "descriptor 4"},
		"a pipe":                {func(f *confinedFacts) { f.descriptors[4].Kind = 6 }, "descriptor 4"},
		"a socket for output":   {func(f *confinedFacts) { f.descriptors[1].Kind = kernel.KindSocket }, "descriptor 1"},
		"a file to answer to":   {func(f *confinedFacts) { f.descriptors[3].Kind = kernel.KindFile }, "descriptor 3"},
	} {
		changed := good()
		c.change(&changed)
		if err := changed.fault(service, path, user); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What a sandbox must deny covers what the port promises: no file, no program, no
// other process, no network, no service.
func TestWhatASandboxMustDeny(t *testing.T) {
	for _, kind := range []string{"file-read", "file-write", "process-exec", "process-fork", "network-outbound", "network-bind", "mach-lookup"} {
		if !slices.ContainsFunc(forbidden, func(operation string) bool { return strings.HasPrefix(operation, kind) }) {
			t.Errorf("nothing of %s", kind)
		}
	}
}

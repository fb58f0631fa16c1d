package windows

import (
	"strings"
	"testing"

	"kpm/platform/windows/confined"
)

// Attack: a process that only believes to be confined is handed a file. Each fact
// that the system must state is missed by itself.
func TestWhatIsNotConfined(t *testing.T) {
	good := confinedFacts{
		restrictedTo: []string{"S-1-0-0"}, privileges: []string{"SeChangeNotifyPrivilege"},
		jobLimits: jobLimits, jobProcesses: 1, jobMemory: confined.MaxMemory, jobTime: confined.MaxTime * 1e7,
	}
	if err := good.fault(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*confinedFacts)
		says   string
	}{
		"a group that grants":   {func(f *confinedFacts) { f.granting = []string{"S-1-5-32-544"} }, "S-1-5-32-544"},
		"not restricted":        {func(f *confinedFacts) { f.restrictedTo = nil }, "restricted to []"},
		"restricted to more":    {func(f *confinedFacts) { f.restrictedTo = []string{"S-1-0-0", "S-1-1-0"} }, "S-1-1-0"},
		"restricted to another": {func(f *confinedFacts) { f.restrictedTo = []string{"S-1-1-0"} }, "S-1-1-0"},
		"a privilege":           {func(f *confinedFacts) { f.privileges = []string{"SeDebugPrivilege"} }, "SeDebugPrivilege"},
		"one privilege more":    {func(f *confinedFacts) { f.privileges = append(f.privileges, "SeTcbPrivilege") }, "SeTcbPrivilege"},
		"low integrity":         {func(f *confinedFacts) { f.integrity = 0x1000 }, "0x1000"},
		"its first token":       {func(f *confinedFacts) { f.impersonates = true }, "another token"},
		"no limits":             {func(f *confinedFacts) { f.jobLimits = 0 }, "the limits 0x0"},
		"a way out of the job":  {func(f *confinedFacts) { f.jobLimits |= 0x800 }, "the limits 0x2d0a"},
		"two processes":         {func(f *confinedFacts) { f.jobProcesses = 2 }, "2 processes"},
		"more memory":           {func(f *confinedFacts) { f.jobMemory *= 2 }, "bytes"},
		"more time":             {func(f *confinedFacts) { f.jobTime++ }, "ns"},
	} {
		changed := good
		c.change(&changed)
		if err := changed.fault(); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

//go:build linux

package kernel_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/kernel"
)

const (
	cache = "/var/cache/kpm-vmtests"
	repo  = "../.."
)

// hooks are tests of other packages that are for a real kernel or a real
// device: their binaries run in the machine, and each of run must be passed.
var hooks = []struct {
	pkg string
	run string
	env []string
}{
	{"./platform/linux", "^(TestAttribute|TestAttributeIsThatOfTheHandle|TestNode|TestVerity)$", []string{"TMPDIR=/disk/tmp", "KPM_FS_VERITY=required"}},
	{"./platform/linux/execution", "^TestHolder$", []string{"TMPDIR=/disk/tmp"}},
	{"./trust/tpm", "^TestDevice", []string{"KPM_TPM=/dev/tpmrm0"}},
	{"./trust/identity", "^TestDevice", []string{"KPM_TPM=/dev/tpmrm0"}},
}

// One machine tells everything.
func TestKernel(t *testing.T) {
	ctx := context.Background()
	booted, err := kernel.Kernel(ctx, cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	guest := filepath.Join(dir, "guest")
	build(t, "build", "-o", guest, "./vmtests/kernel/guest")
	programs := map[string]string{}
	var tests []kernel.Test
	for _, h := range hooks {
		name := strings.ReplaceAll(strings.TrimPrefix(h.pkg, "./"), "/", "-") + ".test"
		programs[name] = filepath.Join(dir, name)
		build(t, "test", "-c", "-o", programs[name], h.pkg)
		tests = append(tests, kernel.Test{Name: h.pkg, Argv: []string{"/" + name, "-test.v", "-test.run", h.run}, Env: h.env})
	}

	p := newPeople(t)
	samples := makeSamples(t, p)
	disk, files := makeDisk(t, samples)
	machine := filepath.Join(dir, "m")
	if err := os.Mkdir(machine, 0o700); err != nil {
		t.Fatal(err)
	}
	plan := kernel.Plan{Certificates: p.trusted(), Policy: policy, Files: files, Tests: tests}
	findings, err := kernel.Run(ctx, booted, machine, guest, disk, plan, programs)
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]kernel.Finding{}
	for _, f := range findings {
		told[f.Name] = f
	}
	for _, h := range hooks {
		t.Run(h.pkg, func(t *testing.T) { passed(t, told[h.pkg]) })
	}
	for _, s := range samples {
		t.Run(s.name, func(t *testing.T) { s.compare(t, told[s.file()]) })
	}
}

// passed reports what a test binary printed if it failed, or ran nothing.
func passed(t *testing.T, f kernel.Finding) {
	t.Helper()
	if f.Failed != "" || !strings.Contains(f.Log, "--- PASS") || strings.Contains(f.Log, "--- SKIP") {
		t.Errorf("in the machine: %s\n%s", f.Failed, f.Log)
	}
}

// build runs the go command at the repository's root, for a program without
// libraries.
func build(t *testing.T, argv ...string) {
	t.Helper()
	cmd := exec.Command("go", append([]string{argv[0], "-ldflags=-s -w"}, argv[1:]...)...)
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

// tool runs a program and returns its standard output.
func tool(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		var detail string
		if status, ok := err.(*exec.ExitError); ok {
			detail = string(status.Stderr)
		}
		t.Fatal(fmt.Errorf("%s: %w\n%s%s", strings.Join(argv, " "), err, out, detail))
	}
	return string(out)
}

//go:build linux

package caller

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// programVar names the keepersudo that tests run, if it is not this binary.
const programVar = "KEEPERSUDO"

// program is the keepersudo that tests run.
func program() string {
	if path := os.Getenv(programVar); path != "" {
		return path
	}
	return "/proc/self/exe"
}

// Everything that this package's tests say of keepersudo holds of the one that is
// installed, which is linked with an entry point of its own, and begins without the Go
// runtime (platform/linux/early).
func TestAsItIsLinked(t *testing.T) {
	if os.Getenv(programVar) != "" {
		return // this is it
	}
	dir, err := os.MkdirTemp("/opt", "kpm-linked-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	linked := filepath.Join(dir, "keepersudo")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-E keepersudo_entry -X main.version="+version, "-o", linked, "kpm/cmd/keepersudo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.v", "-test.timeout=10m")
	run.Env = append(os.Environ(), programVar+"="+linked)
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestAsItIsLinked") {
		t.Errorf("%v\n%s", err, out)
	}
}

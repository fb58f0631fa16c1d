//go:build unix

package darwin

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// builtKeeperpam is this system's keeperpam.
func builtKeeperpam(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keeperpam")
	build := exec.Command("go", "build", "-o", path, "kpm/cmd/keeperpam")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

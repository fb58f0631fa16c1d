//go:build linux

package wine

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"
)

// BenchmarkOnWindows shows what the ports cost under Wine, beside what Wine itself
// costs. Only the one compared with the other means anything.
func BenchmarkOnWindows(b *testing.B) {
	ctx, cancel := context.WithTimeout(b.Context(), deadline)
	defer cancel()
	dir := b.TempDir()
	build(b, "build", "-trimpath", "-ldflags", "-s -w", "-o", dir+"/", "kpm/cmd/keeperlaunch")
	build(b, "test", "-c", "-o", filepath.Join(dir, "tests.exe"), "../../platform/windows")
	m := windows(b, dir)
	for b.Loop() {
		out, err := m.Command(ctx, `Z:\here\tests.exe`, "-test.run", "^$", "-test.bench", ".", "-test.benchtime", "50x").CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("PASS")) {
			b.Fatalf("%v\n%s", err, out)
		}
		b.Logf("%s", out)
	}
}

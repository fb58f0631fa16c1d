//go:build linux

package kernel_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
	"kpm/vmtests/kernel"
	"kpm/vmtests/machine"
)

// TestAClockThatIsSet runs the test of that name of vmtests/e2e, with the agent, on a
// Debian whose kernel is the machine's own: no namespace has a clock on the wall.
func TestAClockThatIsSet(t *testing.T) {
	booted, err := kernel.Kernel(t.Context(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	guest := filepath.Join(dir, "guest")
	build(t, "build", "-o", guest, "./vmtests/kernel/guest")
	const name = "vmtests/e2e"
	plan := kernel.Plan{Tests: []kernel.Test{{
		Name: name, System: true, Argv: []string{"/e2e.test", "-test.v", "-test.run", "^TestAClockThatIsSet$"},
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TMPDIR=/var/tmp", agent.StagedVariable + "=/agent"},
	}}}
	findings, err := kernel.Run(t.Context(), booted, t.TempDir(), guest, systemDisk(t, dir), plan, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) != 1 {
		t.Fatalf("findings: %+v", findings)
	}
	passed(t, findings[0])
}

// systemDisk is an ext4 image of a Debian with the staged agent and the tests of it.
func systemDisk(t *testing.T, dir string) string {
	t.Helper()
	tree, err := machine.Tree(t.Context(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	ours, root, disk := filepath.Join(dir, "ours"), filepath.Join(dir, "root"), filepath.Join(dir, "disk")
	for _, d := range []string{ours, root, filepath.Join(ours, "etc")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(ours, "agent"), os.DirFS(staged)); err != nil {
		t.Fatal(err)
	}
	build(t, "test", "-c", "-tags", "setsclock", "-o", filepath.Join(ours, "e2e.test"), "./vmtests/e2e")
	// This /etc is the tests' own already.
	if err := os.WriteFile(filepath.Join(ours, apart.Marker), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("overlay", root, "overlay", unix.MS_RDONLY, "lowerdir="+ours+":"+tree); err != nil {
		t.Fatal("mount overlay:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, 0); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 2<<30); err != nil { // of which what is written takes room
		t.Fatal(err)
	}
	tool(t, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, disk)
	return disk
}

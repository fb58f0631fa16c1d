//go:build linux

package kernel_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/vmtests/kernel"
)

// uuid is that of the disk's file system.
const uuid = "6b706d00-1122-3344-5566-778899aabbcc"

// makeDisk lays the samples out on an ext4 file system.
func makeDisk(t *testing.T, samples []sample) (disk string, files []kernel.File) {
	t.Helper()
	root, disk := t.TempDir(), filepath.Join(t.TempDir(), "disk")
	for _, s := range samples {
		path := filepath.Join(root, s.file())
		mode := s.mode
		if mode == 0 {
			mode = 0o755
		}
		if err := os.WriteFile(path, s.content, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, s.owner, 0); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		for name, value := range s.labels {
			if err := unix.Setxattr(path, name, value, 0); err != nil {
				t.Fatalf("%s of %s: %v", name, s.name, err)
			}
		}
		files = append(files, kernel.File{Name: s.file(), Verity: s.verity, Damage: s.damage, EVM: s.owner == ownerEVM})
	}
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 64<<20); err != nil {
		t.Fatal(err)
	}
	tool(t, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-O", "verity", "-U", uuid, "-d", root, disk)
	for _, s := range samples {
		if s.bind != nil {
			seal := write(t, s.bind(nodeOf(t, disk, s.file())))
			tool(t, "debugfs", "-w", "-R", "ea_set -f "+seal+" /"+s.file()+" security.evm", disk)
		}
	}
	return disk, files
}

// node is the number of an inode and its generation, decimal.
type node struct{ inode, generation string }

// nodeOf asks debugfs.
func nodeOf(t *testing.T, disk, name string) node {
	t.Helper()
	said := tool(t, "debugfs", "-R", "stat /"+name, disk)
	inode := regexp.MustCompile(`Inode: (\d+)`).FindStringSubmatch(said)
	generation := regexp.MustCompile(`Generation: (\d+)`).FindStringSubmatch(said)
	if inode == nil || generation == nil {
		t.Fatalf("debugfs says of %s:\n%s", name, said)
	}
	return node{inode[1], generation[1]}
}

//go:build linux

package packages

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The archive's script does what a package does: it installs, upgrades, goes back to
// the version before if the new one does not start, removes and purges.
func TestInstallScript(t *testing.T) {
	b := boot(t)
	before := b.files()
	unpacked := filepath.Join(b.Root, "root/kpm")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		t.Fatal(err)
	}
	host(t, "tar", "-xzf", file(t, ".tar.gz"), "--strip-components=1", "-C", unpacked)
	const script, tool = "/root/kpm/install.sh", "/usr/local/bin/KeeperAdminCLI"
	if said := b.run(script); !strings.Contains(said, "Keeper Privilege Manager runs") {
		t.Errorf("it says %s", said)
	}
	b.run("systemctl", "is-enabled", service)
	b.allow()
	b.run(tool, "status")
	b.run("test", "-s", "/usr/local/share/man/man1/keepersudo.1")
	settings := filepath.Join(b.Root, root, "Plugins/KeeperLogger.json")
	theirs, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	theirs = append(theirs, "\n"...)
	if err := os.WriteFile(settings, theirs, 0o644); err != nil {
		t.Fatal(err)
	}

	// A version whose plugin is another program, which is approved, and one that does
	// not start.
	plugin := filepath.Join(unpacked, "root/Plugins/bin/KeeperPolicy/KeeperPolicy")
	program, err := os.ReadFile(plugin)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plugin, append(program, 0), 0o755); err != nil {
		t.Fatal(err)
	}
	b.run(script)
	b.run(tool, "status")
	if out := b.run(tool, "plugins", "approve", "--list", "--json"); strings.Contains(out, "KeeperPolicy") {
		t.Errorf("what the new version brings is not approved: %s", out)
	}
	if err := os.WriteFile(filepath.Join(unpacked, "root/KeeperPrivilegeManager"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := b.Run(t.Context(), script); err == nil || !strings.Contains(out, "The programs of the version before are back and run") {
		t.Errorf("one that does not start: %v, %s", err, out)
	}
	if out, err := b.as("alice", "keepersudo", "whoami").CombinedOutput(); err != nil || string(out) != "root\n" {
		t.Errorf("after it: %v, %s", err, out)
	}
	if now, err := os.ReadFile(settings); err != nil || string(now) != string(theirs) {
		t.Errorf("an administrator's file was overwritten (%v): %s", err, now)
	}
	b.run(tool, "audit", "verify")

	if said := b.run(script, "--remove"); !strings.Contains(said, "are left in "+root) {
		t.Errorf("removal says %s", said)
	}
	for path, there := range map[string]bool{root + "/Audit": true, root + "/Policies/alice.json": true, root + "/KeeperPrivilegeManager": false, root + "/run": false, "/usr/local/bin/keepersudo": false} {
		if _, err := os.Lstat(filepath.Join(b.Root, path)); (err == nil) != there {
			t.Errorf("after removal: %s: %v", path, err)
		}
	}
	b.run(script, "--purge")
	b.nothingLeft(before)
}

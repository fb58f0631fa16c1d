//go:build linux

package packages

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rpm hands the package to rpm in the machine. Its dependencies are not those of
// Debian's names.
func (b box) rpm(args ...string) (string, error) {
	b.t.Helper()
	data, err := os.ReadFile(file(b.t, ".rpm"))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.Root, "package.rpm"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	out, err := b.Run(b.t.Context(), append([]string{"rpm", "--nodeps", "--force-debian"}, append(args, "/package.rpm")...)...)
	return out, errors.Join(err, os.Remove(filepath.Join(b.Root, "package.rpm")))
}

// rpm itself installs the package, puts it over itself as an upgrade does, and
// removes it: on Debian's files and systemd, since no tree of a system that is made
// of rpm packages can be had here. What rpm does is real, and its scripts run.
func TestRPMByRPM(t *testing.T) {
	b := boot(t)
	out, err := b.rpm("-i")
	if err != nil || !strings.Contains(out, "Keeper Privilege Manager runs") {
		t.Fatalf("%v: %s", err, out)
	}
	b.run("systemctl", "is-enabled", service)
	b.run("KeeperAdminCLI", "status")
	b.allow()
	if out, err := b.as("alice", "keepersudo", "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("alice: %v, %s", err, out)
	}
	if out, err := b.as("bob", "keepersudo", "id", "-u").CombinedOutput(); err == nil {
		t.Errorf("bob, whom no policy names: %s", out)
	}
	// Every file is as the package has it, but those that the service writes.
	if out, err := b.Run(t.Context(), "rpm", "-V", "--nodeps", name); err != nil {
		t.Errorf("rpm -V: %v, %s", err, out)
	}
	settings := filepath.Join(b.Root, root, "Policies/first-steps.json")
	if err := os.WriteFile(settings, []byte("[]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := b.rpm("-U", "--replacepkgs"); err != nil {
		t.Fatalf("an upgrade: %v, %s", err, out)
	}
	if now, err := os.ReadFile(settings); err != nil || string(now) != "[]\n" {
		t.Errorf("an administrator's file was overwritten (%v): %s", err, now)
	}
	b.run("systemctl", "is-active", service)
	if out, err := b.as("alice", "keepersudo", "true").CombinedOutput(); err != nil {
		t.Errorf("after the upgrade: %v, %s", err, out)
	}
	b.run("KeeperAdminCLI", "audit", "verify")
	if out := b.run("rpm", "-e", name); !strings.Contains(out, "are left in "+root) {
		t.Errorf("removal says: %s", out)
	}
	if _, err := os.Stat(filepath.Join(b.Root, root, "Audit")); err != nil {
		t.Error("the journal did not stay:", err)
	}
	for _, path := range []string{"/usr/bin/keepersudo", "/usr/lib/systemd/system/" + service, root + "/KeeperPrivilegeManager"} {
		if _, err := os.Lstat(filepath.Join(b.Root, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
	if out, err := b.Run(t.Context(), "pgrep", "-f", root); err == nil {
		t.Error("still running:", out)
	}
}

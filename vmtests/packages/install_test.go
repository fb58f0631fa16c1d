//go:build linux

package packages

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A package is installed: the service runs and comes back with the machine, the
// tools are on the PATH, nobody may do anything yet; two users, of whom policy
// allows one; the package goes, and nothing is left.
func TestInstallUseRemovePurge(t *testing.T) {
	b := boot(t)
	before := b.files()
	said := b.install(file(t, ".deb"))
	for _, next := range []string{"KeeperAdminCLI status", "man kpm-policy", "Policies/first-steps.json"} {
		if !strings.Contains(said, next) {
			t.Errorf("what to do next lacks %q: %s", next, said)
		}
	}
	b.run("systemctl", "is-enabled", service)
	b.run("KeeperAdminCLI", "status")
	b.run("KeeperPolicy", "lint", root+"/Policies/first-steps.json")
	for path, mode := range map[string]os.FileMode{root: 0o755, root + "/run": 0o755, root + "/State": 0o700, root + "/Audit": 0o700} {
		info, err := os.Stat(filepath.Join(b.Root, path))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v, expected %v", path, info, err, mode)
		}
	}
	b.roots()
	if out, err := b.as("alice", "keepersudo", "true").CombinedOutput(); err == nil || !strings.Contains(string(out), "refused") && !strings.Contains(string(out), "policy") {
		t.Errorf("without a policy: %v, %s", err, out)
	}
	b.allow()
	if out, err := b.as("alice", "keepersudo", "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("alice: %v, %s", err, out)
	}
	if out, err := b.as("bob", "keepersudo", "id", "-u").CombinedOutput(); err == nil {
		t.Errorf("bob, whom no policy names: %s", out)
	}
	b.run("KeeperAdminCLI", "audit", "verify")
	b.logged()
	b.bundled()
	b.controlled()

	// Whoever removes the agent has the system's own sudo back.
	b.run("KeeperAdminCLI", "interception", "enable", "sudo")
	if to, err := os.Readlink(filepath.Join(b.Root, "/usr/local/bin/sudo")); err != nil || to != root+"/keepersudo" {
		t.Errorf("sudo leads to %q, %v", to, err)
	}
	// PAM's file goes with the agent; one that an administrator wrote does not.
	const pam = "/usr/lib/pam.d/kpm"
	b.run("grep", "-q", "^session", pam)
	b.run("cp", pam, "/etc/pam.d/kpm")
	if out := b.run("dpkg", "--remove", name); !strings.Contains(out, "are left in "+root) {
		t.Errorf("removal says: %s", out)
	}
	if _, err := os.Stat(filepath.Join(b.Root, root, "Audit")); err != nil {
		t.Error("the journal did not stay:", err)
	}
	if _, err := os.Lstat(filepath.Join(b.Root, "/usr/local/bin/sudo")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("sudo still leads to keepersudo:", err)
	}
	if _, err := os.Lstat(filepath.Join(b.Root, pam)); !errors.Is(err, fs.ErrNotExist) {
		t.Error("PAM still has the package's file:", err)
	}
	b.run("rm", "/etc/pam.d/kpm")
	b.run("dpkg", "--purge", name)
	b.nothingLeft(before, "/opt") // empty, dpkg takes it away
}

// An upgrade: what an administrator changed stays, a running command goes on, the
// journal's chain goes on.
func TestUpgrade(t *testing.T) {
	b := boot(t)
	b.install(file(t, ".deb"))
	b.allow()
	settings := filepath.Join(b.Root, root, "Plugins/KeeperLogger.json")
	theirs, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	theirs = append(theirs, "\n"...)
	if err := os.WriteFile(settings, theirs, 0o644); err != nil {
		t.Fatal(err)
	}
	runs := b.begin("alice")
	b.install(another(t, "1.1.0", func(dir string) {
		path := filepath.Join(dir, root, "Plugins/KeeperLogger.json")
		ours, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append([]byte("\n"), ours...), 0o644); err != nil {
			t.Fatal(err)
		}
	}))
	if now, err := os.ReadFile(settings); err != nil || string(now) != string(theirs) {
		t.Errorf("an administrator's file was overwritten (%v): %s", err, now)
	}
	if out := b.run("dpkg-query", "-W", "-f", "${Status} ${Version}", name); out != "install ok installed 1.1.0" {
		t.Errorf("dpkg says %s", out)
	}
	b.finish()
	if err := runs.Wait(); runs.ProcessState.ExitCode() != 7 {
		t.Errorf("who waited was told %v, expected exit status 7", err)
	}
	if out, err := b.as("alice", "keepersudo", "true").CombinedOutput(); err != nil {
		t.Errorf("after the upgrade: %v, %s", err, out)
	}
	b.run("KeeperAdminCLI", "audit", "verify")

	out, err := b.dpkg(file(t, ".deb"))
	if err == nil || !strings.Contains(out, "1.1.0 is installed, and 1.0.0 is older") {
		t.Errorf("a downgrade: %v, %s", err, out)
	}
	if out := b.run("dpkg-query", "-W", "-f", "${Status} ${Version}", name); out != "install ok installed 1.1.0" {
		t.Errorf("after it dpkg says %s", out)
	}
	b.run("KeeperAdminCLI", "status")

	// What a newer version has written is not read by an older one, however it is
	// installed: with the package, or its programs alone.
	b.run("dpkg", "--remove", name)
	format := filepath.Join(b.Root, root, "State/format")
	data, err := os.ReadFile(format)
	if err != nil || !strings.HasPrefix(string(data), `{"format":1,`) {
		t.Fatalf("%q, %v", data, err)
	}
	if err := os.WriteFile(format, []byte(`{"format":2,"by":"1.2.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := b.dpkg(file(t, ".deb")); err == nil || !strings.Contains(out, "State was written by a newer version, in format 2; 1.0.0 reads up to format 1") {
		t.Errorf("an older package: %v, %s", err, out)
	}
	if err := os.WriteFile(format, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b.install(file(t, ".deb"))
	b.run("KeeperAdminCLI", "service", "stop")
	if err := os.WriteFile(format, []byte(`{"format":2,"by":"1.2.0"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := b.Run(t.Context(), root+"/KeeperPrivilegeManager", "run"); err == nil || !strings.Contains(err.Error()+out, "install 1.2.0 or a newer one") {
		t.Errorf("an older program: %v, %s", err, out)
	}
	if err := os.WriteFile(format, data, 0o600); err != nil {
		t.Fatal(err)
	}
	b.run("KeeperAdminCLI", "service", "start")
	b.run("KeeperAdminCLI", "audit", "verify")
}

// roots: everything of the agent is root's, and nobody else writes to it.
func (b box) roots() {
	b.t.Helper()
	err := filepath.WalkDir(filepath.Join(b.Root, root), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was of a moment
		}
		if err != nil || d.Type() == fs.ModeSocket || d.Type() == fs.ModeSymlink { // sockets are spoken to
			return err
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		owner := info.Sys().(*syscall.Stat_t)
		if owner.Uid != 0 || info.Mode().Perm()&0o022 != 0 {
			b.t.Errorf("%s: %v of %d, expected root's and nobody else's to write", path, info.Mode(), owner.Uid)
		}
		return nil
	})
	if err != nil {
		b.t.Error(err)
	}
}

// logged looks where a package has things logged: each elevation as sudo would, the
// service with its levels, plugins in the system's folder.
func (b box) logged() {
	b.t.Helper()
	b.eventually("the elevations are in journald", func() bool {
		out := b.run("journalctl", "-t", "keepersudo", "-o", "cat", "--no-pager")
		return strings.Contains(out, "alice : TTY=unknown ; PWD=/home/alice ; USER=root ; REQUEST=") && strings.Contains(out, " ; COMMAND=/usr/bin/id -u\n") &&
			strings.Contains(out, "bob : command not allowed ; TTY=unknown ; PWD=/home/bob ; USER=root ; REQUEST=")
	})
	if out := b.run("journalctl", "-t", "keepersudo", "-o", "json", "-n", "1", "--no-pager"); !strings.Contains(out, `"SYSLOG_FACILITY":"10"`) {
		b.t.Errorf("not where sudo's lines go: %s", out)
	}
	warnings := func() string {
		return b.run("journalctl", "-u", service, "-p", "warning", "-o", "cat", "--no-pager")
	}
	b.eventually("levels are understood", func() bool { return strings.Contains(warnings(), "level=WARN msg=\"reloaded settings\"") })
	if out := warnings(); strings.Contains(out, "<4>") {
		b.t.Errorf("levels are not understood: %s", out)
	}
	b.eventually("KeeperLogger writes to /var/log", func() bool {
		_, err := os.Stat(filepath.Join(b.Root, "/var/log/keeper-privilege-manager/KeeperLogger.log"))
		return err == nil
	})
}

// bundled looks through what is handed to whoever helps, on a machine where people
// have done things: it names none of them, nor what they typed.
func (b box) bundled() {
	b.t.Helper()
	_, _ = b.as("alice", "keepersudo", "--reason", "pl4nted reason", "echo", "--password=pl4nted").CombinedOutput()
	const bundle = "/root/bundle.tar.gz"
	b.run("KeeperAdminCLI", "support", "bundle", "--output", bundle)
	b.run("mkdir", "/root/bundle")
	b.run("tar", "-xzf", bundle, "-C", "/root/bundle")
	if list := b.run("find", "/root/bundle", "-type", "f"); strings.Count(list, "\n") < 10 {
		b.t.Errorf("the bundle has %s", list)
	}
	for _, name := range []string{"alice", "bob", "pl4nted", "administers", "whoami", strings.TrimSpace(b.run("hostname"))} {
		if out, err := b.Run(b.t.Context(), "grep", "-riw", "--", name, "/root/bundle"); err == nil {
			b.t.Errorf("the bundle says %q: %s", name, out)
		}
		if list := b.run("find", "/root/bundle"); strings.Contains(list, name) {
			b.t.Errorf("a file of the bundle is called %q: %s", name, list)
		}
	}
}

// controlled goes through what KeeperAdminCLI does with systemd.
func (b box) controlled() {
	b.t.Helper()
	says := func(command, want string) {
		b.t.Helper()
		if out := b.run("KeeperAdminCLI", "service", command); !strings.HasPrefix(out, want) {
			b.t.Errorf("service %s: %q, expected %q", command, out, want)
		}
	}
	says("status", "running, process ")
	says("stop", "stopped, started with the machine (systemd)")
	if out, err := b.Run(b.t.Context(), "KeeperAdminCLI", "service", "status"); err == nil {
		b.t.Errorf("a stopped service is no fault: %s", out)
	}
	says("uninstall", "stopped, not started with the machine (systemd)")
	says("install", "stopped, started with the machine (systemd)")
	says("start", "running, process ")
	if out := b.run("KeeperAdminCLI", "status"); !strings.Contains(out, "service      process ") || !strings.Contains(out, "policies     ") || !strings.Contains(out, " bob /usr/bin/id: denied: ") {
		b.t.Errorf("status: %s", out)
	}
}

// The package goes while somebody's command runs: the command goes on to its end, and
// nothing of the agent is left. TestLife purges it then.
func TestRemovalWhileACommandRuns(t *testing.T) {
	b := boot(t)
	before := b.files()
	b.install(file(t, ".deb"))
	b.allow()
	runs := b.begin("alice")
	b.run("dpkg", "--remove", name)
	b.finish()
	// It may wait for a service that does not come.
	_, _ = b.Run(t.Context(), "pkill", "-KILL", "-x", "keepersudo")
	_ = runs.Wait()
	if out, err := b.as("alice", "sh", "-c", "command -v keepersudo").CombinedOutput(); err == nil {
		t.Errorf("left on the PATH: %s", out)
	}
	b.run("dpkg", "--purge", name)
	b.nothingLeft(before, "/stop", "/ended", "/opt")
}

// A version that does not start is undone, and says so.
func TestUpgradeThatFails(t *testing.T) {
	b := boot(t)
	b.install(file(t, ".deb"))
	b.allow()
	out, err := b.dpkg(another(t, "1.2.0", func(dir string) {
		if err := os.WriteFile(filepath.Join(dir, root, "KeeperPrivilegeManager"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}))
	if err == nil || !strings.Contains(out, "The programs of the version before are back and run") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := b.as("alice", "keepersudo", "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
		t.Errorf("after it: %v, %s", err, out)
	}
	b.run("KeeperAdminCLI", "status")
}

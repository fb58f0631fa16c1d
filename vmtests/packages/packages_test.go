//go:build linux

package packages

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/machine"
)

const (
	cache   = "/var/cache/kpm-vmtests"
	root    = "/opt/KeeperPrivilegeManager"
	service = "keeper-privilege-manager.service"
	name    = "keeper-privilege-manager"
)

// built is where the packages of version 1.0.0 lie. Those of a folder that -built
// names are tested as they are, and none are built.
var built string

// previous is where packages of version 1.0.0 of an earlier build lie, from which
// TestLife upgrades. Without them it upgrades from these, as another version.
var previous string

func TestMain(m *testing.M) {
	flag.StringVar(&built, "built", "", "test the packages in this folder (make packages VERSION=1.0.0), in place of new ones")
	flag.StringVar(&previous, "previous", "", "upgrade from the packages in this folder (make packages VERSION=1.0.0 of an earlier commit)")
	flag.Parse()
	if built != "" {
		os.Exit(m.Run())
	}
	status, err := build(m.Run)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func build(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "kpm-packages-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	built = filepath.Join(dir, "out")
	cmd := exec.Command("make", "-C", "../..", "--no-print-directory", "packages", "VERSION=1.0.0", "ONLY=linux-amd64,windows-amd64", "PACKAGES="+built)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 1, fmt.Errorf("make packages: %w\n%s", err, out)
	}
	return run(), nil
}

// file is the built package with that end.
func file(t *testing.T, end string) string {
	t.Helper()
	return fileIn(t, built, end)
}

func fileIn(t *testing.T, folder, end string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*"+end))
	if err != nil || len(found) != 1 {
		t.Fatalf("%s: %v, %v", end, found, err)
	}
	return found[0]
}

func host(t *testing.T, argv ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}

// another is the Debian package as another version, after change was made to
// what it holds.
func another(t *testing.T, version string, change func(dir string)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "package")
	host(t, "dpkg-deb", "-R", file(t, ".deb"), dir)
	for _, script := range []string{"control", "preinst", "postinst", "prerm", "postrm"} {
		path := filepath.Join(dir, "DEBIAN", script)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), "1.0.0", version)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	change(dir)
	// The sums are of the files as they were.
	if err := os.Remove(filepath.Join(dir, "DEBIAN/md5sums")); err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(t.TempDir(), version+".deb")
	host(t, "dpkg-deb", "-Znone", "-b", dir, made)
	return made
}

// box is a machine on which packages are installed.
type box struct {
	*machine.Machine
	t *testing.T
}

func boot(t *testing.T) box {
	t.Helper()
	return bootOf(t, machine.Debian12)
}

func bootOf(t *testing.T, release machine.Release) box {
	t.Helper()
	tree, err := release.Tree(t.Context(), cache, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	m, err := machine.Boot(t.Context(), tree, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return box{m, t}
}

// run runs argv in the machine as root.
func (b box) run(argv ...string) string {
	b.t.Helper()
	out, err := b.Run(b.t.Context(), argv...)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// dpkg hands a package of the host's to dpkg.
func (b box) dpkg(path string) (string, error) {
	b.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.Root, "package.deb"), data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	out, err := b.Run(b.t.Context(), "dpkg", "--force-confold", "-i", "/package.deb")
	if err := os.Remove(filepath.Join(b.Root, "package.deb")); err != nil {
		b.t.Fatal(err)
	}
	return out, err
}

func (b box) install(path string) string {
	b.t.Helper()
	out, err := b.dpkg(path)
	if err != nil {
		b.t.Fatal(err)
	}
	return out
}

// as returns a command that user runs in the machine, in their home.
func (b box) as(user string, argv ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Minute)
	b.t.Cleanup(cancel)
	return b.Command(ctx, append([]string{"env", "-C", "/home/" + user, "PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/home/" + user,
		"setpriv", "--reuid=" + user, "--regid=" + user, "--init-groups", "--"}, argv...)...)
}

// allow writes a policy: alice may run everything as anybody.
func (b box) allow() {
	b.t.Helper()
	const policy = `{"PolicyId": "alice", "PolicyName": "Alice administers", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["alice"], "MachineCheck": ["*"], "ApplicationCheck": ["*"], "TargetUserCheck": ["*"]}`
	if err := os.WriteFile(filepath.Join(b.Root, root, "Policies/alice.json"), []byte(policy), 0o644); err != nil {
		b.t.Fatal(err)
	}
	b.run("systemctl", "reload", service)
	b.eventually("the policy is in force", func() bool { return b.as("alice", "keepersudo", "true").Run() == nil })
}

func (b box) eventually(what string, holds func() bool) {
	b.t.Helper()
	for until := time.Now().Add(2 * time.Minute); !holds(); {
		if time.Now().After(until) {
			log, _ := b.Run(context.Background(), "journalctl", "--no-pager", "-n", "50", "-u", service)
			b.t.Fatalf("not within two minutes: %s\n%s", what, log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// elsewhere are folders that the system's own programs write to all the time.
var elsewhere = []string{"/proc", "/sys", "/dev", "/run", "/tmp", "/var/log", "/var/lib/dpkg", "/var/lib/systemd", "/var/cache/ldconfig", "/var/tmp", "/root"}

// files are the files of the machine, with what each is: kind, mode, owner and a
// digest of what it holds.
func (b box) files() map[string]string {
	b.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(b.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside := strings.TrimPrefix(path, b.Root)
		if d.IsDir() && slices.Contains(elsewhere, inside) {
			return fs.SkipDir
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		what := fmt.Sprint(info.Mode(), owner.Uid, ":", owner.Gid)
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(text))
		}
		found[inside] = what
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// nothingLeft holds the machine to what it was before: each file is there and as it
// was, and no other is, except those.
func (b box) nothingLeft(before map[string]string, except ...string) {
	b.t.Helper()
	b.eventually("no process of the agent is left", func() bool {
		_, err := b.Run(b.t.Context(), "pgrep", "-f", root)
		return err != nil
	})
	after := b.files()
	for _, path := range slices.Sorted(maps.Keys(after)) {
		if slices.Contains(except, path) {
			continue
		}
		if was, is := before[path]; !is {
			b.t.Error("left behind:", path)
		} else if was != after[path] {
			b.t.Errorf("%s is %s, and was %s", path, after[path], was)
		}
	}
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if _, is := after[path]; !is && !slices.Contains(except, path) {
			b.t.Error("gone:", path)
		}
	}
}

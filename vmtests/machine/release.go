//go:build linux

package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Release is what a machine can be of.
type Release struct {
	Name     string
	suite    string
	packages []string // beyond the minimal base
	hooks    []string // run when the tree is made, $1 is its root
	mirror   string   // empty for Debian's
	// keyring is the package at the mirror that has the keys of its own packages, and
	// its SHA-256; empty where the host trusts them.
	keyring, sum string
}

// users are those of every machine.
var users = []string{`chroot "$1" useradd -m -s /bin/bash alice`, `chroot "$1" useradd -m -s /bin/bash bob`}

// small is enough to install a package and to use it.
var small = []string{"dbus", "less", "libpam-systemd", "login", "passwd", "procps", "sudo", "systemd", "systemd-sysv"}

// Debian12 is the release that most tests run on.
var Debian12 = Release{
	Name: "Debian 12", suite: "bookworm",
	packages: []string{
		"dbus", "less", "libpam-systemd", "login", "mosquitto", "passwd", "pkexec", "polkitd", "procps",
		"python3", "python3-paho-mqtt", "rpm", "runit", "sudo", "systemd", "systemd-sysv", "vim-tiny",
	},
	hooks: append([]string{`chroot "$1" systemctl disable mosquitto`}, users...),
}

// Debian13 and Ubuntu2404 are what packages are installed on besides.
// DebianSudoRs is where sudo is sudo-rs, as Ubuntu has it since 25.10: by an alternative
// of /usr/bin/sudo. It reads the same sudoers.
var (
	Debian13   = Release{Name: "Debian 13", suite: "trixie", packages: small, hooks: users}
	Ubuntu2404 = Release{
		Name: "Ubuntu 24.04", suite: "noble", packages: small, hooks: users, mirror: "http://archive.ubuntu.com/ubuntu",
		keyring: "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
		sum:     "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
	}
	DebianSudoRs = Release{
		Name: "Debian 13 with sudo-rs", suite: "trixie", packages: append([]string{"sudo-rs"}, small...),
		hooks: append([]string{
			`SUDO_FORCE_REMOVE=yes chroot "$1" dpkg --remove sudo`,
			`chroot "$1" update-alternatives --install /usr/bin/sudo sudo /usr/lib/cargo/bin/sudo 50`,
		}, users...),
	}
)

// Tree is that of Debian 12.
func Tree(ctx context.Context, cache string, progress io.Writer) (string, error) {
	return Debian12.Tree(ctx, cache, progress)
}

// Tree returns the cached base tree, building it first if need be (about a minute
// and the mirror). cache is a directory owned by root.
func (r Release) Tree(ctx context.Context, cache string, progress io.Writer) (string, error) {
	key := sha256.Sum256([]byte(r.suite + "\n" + strings.Join(r.packages, "\n")))
	tree := filepath.Join(cache, "debian-"+hex.EncodeToString(key[:6]))
	if _, err := os.Stat(filepath.Join(tree, "etc/debian_version")); err == nil {
		return tree, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("machine: cache: %w", err)
	}
	fmt.Fprintf(progress, "building the test tree of %s in %s (once, about a minute)\n", r.Name, tree)
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		return "", fmt.Errorf("machine: cache: %w", err)
	}
	defer os.RemoveAll(partial)
	args := []string{"--quiet", "--variant=minbase", "--mode=root", "--aptopt=APT::Install-Recommends false",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--include=" + strings.Join(r.packages, ",")}
	for _, hook := range r.hooks {
		args = append(args, "--customize-hook="+hook)
	}
	if r.keyring != "" {
		keys, err := r.keys(ctx, cache)
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(keys)
		args = append(args, "--keyring="+filepath.Join(keys, "usr/share/keyrings/ubuntu-archive-keyring.gpg"))
	}
	args = append(args, r.suite, partial)
	if r.mirror != "" {
		args = append(args, r.mirror)
	}
	if out, err := exec.CommandContext(ctx, "mmdebstrap", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("machine: mmdebstrap: %w\n%s", err, out)
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return "", fmt.Errorf("machine: cache: %w", err)
	}
	if err := os.Rename(partial, tree); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", fmt.Errorf("machine: cache: %w", err)
	}
	return tree, nil
}

// keys unpacks the package of the mirror's keys into a folder below dir. It is the
// package that was looked at when its sum was written here, or an error.
func (r Release) keys(ctx context.Context, dir string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.mirror+"/"+r.keyring, nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("machine: keys of %s: %w", r.Name, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
	if err != nil {
		return "", fmt.Errorf("machine: keys of %s: %w", r.Name, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != r.sum {
		return "", fmt.Errorf("machine: keys of %s: %s answers %s with %d bytes that have another sum", r.Name, req.URL, answer.Status, len(data))
	}
	keys, err := os.MkdirTemp(dir, "keys-")
	if err != nil {
		return "", fmt.Errorf("machine: keys of %s: %w", r.Name, err)
	}
	file := filepath.Join(keys, "keyring.deb")
	err = os.WriteFile(file, data, 0o644)
	if err == nil {
		err = exec.CommandContext(ctx, "dpkg-deb", "-x", file, keys).Run()
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("machine: keys of %s: %w", r.Name, err), os.RemoveAll(keys))
	}
	return keys, nil
}

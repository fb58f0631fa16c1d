package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Debian's machines are made from Debian's packages on the machine that tests: no
// catalogue of boxes, and nobody else's image, is needed for them.

// boxPackages are what such a machine has beyond Debian's minimal base.
var boxPackages = []string{
	"ca-certificates", "dbus", "iproute2", "kmod", "libpam-systemd", "linux-image-cloud-amd64", "login", "openssh-server",
	"passwd", "procps", "sudo", "systemd", "systemd-sysv", "udev",
}

// boxSize is that of its disk, of which only what is written takes room.
const boxSize = "4G"

// boxFile is the Vagrantfile within the box: what Vagrant must know to start it,
// and to log in. The kernel lies beside it, so that there is no boot loader.
const boxFile = `Vagrant.configure("2") do |config|
  config.ssh.private_key_path = File.expand_path("key", __dir__)
  config.ssh.insert_key = false
  config.vm.provider :libvirt do |vm|
    vm.kernel = File.expand_path("vmlinuz", __dir__)
    vm.initrd = File.expand_path("initrd", __dir__)
    vm.cmd_line = "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 mitigations=off"
  end
end
`

// network has the machine ask for its address.
const network = "[Match]\nName=eth*\n[Network]\nDHCP=yes\n"

// box returns the file of a box with a release of Debian, making it first if need
// be: about two minutes and the Debian mirror. cache is a directory of root's.
func box(ctx context.Context, cache, release string, progress io.Writer) (string, error) {
	key := sha256.Sum256([]byte(release + "\n" + strings.Join(boxPackages, "\n") + boxFile + network + boxSize))
	made := filepath.Join(cache, "box-"+release+"-"+hex.EncodeToString(key[:6])+".box")
	if _, err := os.Stat(made); err == nil {
		return made, nil
	}
	fmt.Fprintf(progress, "building a box with %s in %s (once, about two minutes)\n", release, cache)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(partial)
	if err := makeBox(ctx, partial, release); err != nil {
		return "", fmt.Errorf("build a box: %w", err)
	}
	return made, os.Rename(filepath.Join(partial, "made.box"), made)
}

// makeBox makes made.box in dir.
func makeBox(ctx context.Context, dir, release string) error {
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := run(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "vagrant", "-f", at("key")); err != nil {
		return err
	}
	if err := os.WriteFile(at("network"), []byte(network), 0o644); err != nil {
		return err
	}
	if err := run(ctx, "mmdebstrap", "--quiet", "--variant=minbase", "--mode=root", "--aptopt=APT::Install-Recommends false",
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
		"--include="+strings.Join(boxPackages, ","),
		"--customize-hook=upload "+at("network")+" /etc/systemd/network/20-dhcp.network",
		`--customize-hook=chroot "$1" systemctl enable systemd-networkd ssh`,
		`--customize-hook=chroot "$1" useradd -m -s /bin/bash vagrant`,
		`--customize-hook=mkdir -m 0700 "$1/home/vagrant/.ssh"`,
		"--customize-hook=upload "+at("key.pub")+" /home/vagrant/.ssh/authorized_keys",
		`--customize-hook=chroot "$1" chown -R vagrant: /home/vagrant/.ssh`,
		`--customize-hook=echo "vagrant ALL=(ALL) NOPASSWD: ALL" >"$1/etc/sudoers.d/vagrant"`,
		`--customize-hook=echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"; echo kpm >"$1/etc/hostname"; echo "127.0.0.1 localhost kpm" >"$1/etc/hosts"`,
		release, at("tree")); err != nil {
		return err
	}
	for name, pattern := range map[string]string{"vmlinuz": "boot/vmlinuz-*", "initrd": "boot/initrd.img-*"} {
		found, err := filepath.Glob(filepath.Join(at("tree"), pattern))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%s: %d files, expected one: %w", pattern, len(found), errors.Join(err, os.ErrNotExist))
		}
		if err := os.Rename(found[0], at(name)); err != nil {
			return err
		}
	}
	for _, argv := range [][]string{
		{"truncate", "-s", boxSize, at("disk")},
		{"mke2fs", "-q", "-t", "ext4", "-d", at("tree"), at("disk")},
		{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", at("disk"), at("box.img")},
	} {
		if err := run(ctx, argv...); err != nil {
			return err
		}
	}
	about, err := json.Marshal(map[string]any{"provider": "libvirt", "format": "qcow2", "virtual_size": 4})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(at("metadata.json"), about, 0o644), os.WriteFile(at("Vagrantfile"), []byte(boxFile), 0o644)); err != nil {
		return err
	}
	return run(ctx, "tar", "-C", dir, "-cf", at("made.box"), "metadata.json", "Vagrantfile", "box.img", "vmlinuz", "initrd", "key")
}

// run runs argv, whose words are told only if it fails.
func run(ctx context.Context, argv ...string) error {
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", argv[0], err, out)
	}
	return nil
}

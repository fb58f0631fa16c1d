package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A machine without libvirt's service, such as one that builds: the service is
// started for this run, in namespaces of its own. Its bridge, its addresses and its
// files are nobody else's, and all of its processes end with the run.

// libvirtRuns reports whether this machine's own libvirt answers.
func libvirtRuns(ctx context.Context) bool {
	return exec.CommandContext(ctx, "virsh", "--connect", "qemu:///system", "version").Run() == nil
}

// withLibvirt runs the second half where libvirt runs.
func withLibvirt(ctx context.Context, o options) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The shell is the first process there: libvirt waits for what it has left behind
	// to be gone, and that is for the first process to reap.
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--propagation=private", "--pid", "--fork", "--mount-proc", "--kill-child",
		"sh", "-c", `"$@"; exit $?`, "sh", self, "--inside", "--os="+o.os, "--cache="+o.cache, "--work="+o.work, "--packages="+o.packages, "--box="+o.box, fmt.Sprintf("--keep=%t", o.keep))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// An interrupted run ends with its first process, and everything in it does.
	return cmd.Run()
}

// libvirtFiles are its settings: no cgroups, no other users, no logging service,
// none of which this machine may have.
var libvirtFiles = map[string]string{
	"libvirtd.conf": "auth_unix_rw = \"none\"\nunix_sock_group = \"root\"\n",
	"qemu.conf":     "user = \"root\"\ngroup = \"root\"\nsecurity_driver = \"none\"\ncgroup_controllers = []\nnamespaces = []\nstdio_handler = \"file\"\n",
}

// startLibvirt starts libvirt's service in the namespaces of the second half.
func startLibvirt(ctx context.Context, work string) error {
	images := filepath.Join(work, "libvirt")
	if err := os.Mkdir(images, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{"/run", "/etc/libvirt", "/var/lib/libvirt"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if err := errors.Join(
		syscall.Mount("tmpfs", "/run", "tmpfs", 0, "mode=0755"),
		syscall.Mount("tmpfs", "/etc/libvirt", "tmpfs", 0, "mode=0755"),
		syscall.Mount(images, "/var/lib/libvirt", "", syscall.MS_BIND, ""),
	); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	for name, text := range libvirtFiles {
		if err := os.WriteFile(filepath.Join("/etc/libvirt", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	// Some kernels have the device and no processor for it; libvirt tries and hangs.
	if _, err := os.Stat("/dev/kvm"); err == nil && !virtualizes() {
		if err := syscall.Mount("/dev/null", "/dev/kvm", "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("hide /dev/kvm: %w", err)
		}
	}
	if err := run(ctx, "ip", "link", "set", "lo", "up"); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(work, "libvirtd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	// It ends with these namespaces.
	service := exec.Command("libvirtd", "--config", "/etc/libvirt/libvirtd.conf")
	service.Stdout, service.Stderr = log, log
	if err := service.Start(); err != nil {
		return fmt.Errorf("%w: install libvirt-daemon-system, vagrant and vagrant-libvirt", err)
	}
	for !libvirtRuns(ctx) {
		select {
		case <-ctx.Done():
			said, _ := os.ReadFile(log.Name())
			return fmt.Errorf("libvirt does not answer: %w\n%s", ctx.Err(), strings.TrimSpace(string(said)))
		case <-time.After(100 * time.Millisecond):
		}
	}
	return nil
}

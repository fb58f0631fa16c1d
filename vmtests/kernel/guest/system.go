//go:build linux

package main

import (
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// system makes what programs of the system on the disk expect, whose root that will
// be: mounts, and an address of the machine's own.
func system() error {
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "dev"}, {"devpts", "dev/pts"}, {"proc", "proc"}, {"sysfs", "sys"}, {"cgroup2", "sys/fs/cgroup"}, {"tmpfs", "run"},
	} {
		at := filepath.Join(disk, m.at)
		if m.kind == "devpts" {
			if err := unix.Mkdir(at, 0o755); err != nil {
				return fmt.Errorf("mkdir %s: %w", at, err)
			}
		}
		if err := unix.Mount(m.kind, at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", at, err)
		}
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(socket)
	loopback, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	loopback.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, loopback); err != nil {
		return fmt.Errorf("lo: %w", err)
	}
	return nil
}

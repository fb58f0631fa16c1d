//go:build linux

// guest is the first and only process of the machine of kpm/vmtests/kernel: it
// does what /plan.json says, tells each finding on the second serial line, and
// switches the machine off. It is no test by itself.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/vmtests/kernel"
)

const disk = "/disk"

func main() {
	err := work()
	if err != nil {
		fmt.Println("guest:", err) // the console
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// work ends with a finding of the name kernel.Done, or with an error.
func work() error {
	if os.Getpid() != 1 {
		return errors.New("this is for a machine of its own")
	}
	if err := mounts(); err != nil {
		return err
	}
	line, err := os.OpenFile("/dev/ttyS1", os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer line.Close()
	if err := plain(line); err != nil {
		return err
	}
	g := guest{tell: json.NewEncoder(line)}
	if err := g.work(); err != nil {
		return err
	}
	return g.tell.Encode(kernel.Finding{Name: kernel.Done})
}

type guest struct {
	plan kernel.Plan
	tell *json.Encoder
}

func (g *guest) work() error {
	text, err := os.ReadFile("/plan.json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &g.plan); err != nil {
		return err
	}
	if len(g.plan.Certificates) > 0 {
		if err := g.loadKeys(); err != nil {
			return err
		}
	}
	for _, t := range g.plan.Tests {
		if t.System {
			if err := system(); err != nil {
				return err
			}
		}
		if err := g.tell.Encode(g.test(t)); err != nil {
			return err
		}
	}
	if len(g.plan.Files) == 0 {
		return nil
	}
	findings := make([]kernel.Finding, len(g.plan.Files))
	for i, f := range g.plan.Files {
		findings[i] = g.judge(f)
	}
	if err := os.WriteFile("/sys/kernel/security/ima/policy", []byte(g.plan.Policy), 0); err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	g.execute(findings, false)
	// EVM_INIT_X509 (security/integrity/evm/evm.h): signatures are enforced,
	// of every file that IMA looks at.
	if err := os.WriteFile("/sys/kernel/security/integrity/evm/evm", []byte("2"), 0); err != nil {
		return fmt.Errorf("EVM: %w", err)
	}
	g.execute(findings, true)
	for _, f := range findings {
		if err := g.tell.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// execute runs the programs that are run with EVM, or those that are not.
func (g *guest) execute(findings []kernel.Finding, evm bool) {
	for i, f := range g.plan.Files {
		if f.EVM != evm {
			continue
		}
		if err := exec.Command(filepath.Join(disk, f.Name)).Run(); err != nil {
			findings[i].Execute = err.Error()
		}
	}
}

// test runs a test binary.
func (g *guest) test(t kernel.Test) kernel.Finding {
	f := kernel.Finding{Name: t.Name}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.Argv[0], t.Argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append([]string{"PATH=/", "HOME=/tmp"}, t.Env...)
	if t.System {
		cmd.SysProcAttr, cmd.Dir = &syscall.SysProcAttr{Chroot: disk}, "/"
	}
	if err := cmd.Run(); err != nil {
		f.Failed = err.Error()
	}
	f.Log = out.String()
	return f
}

// mounts makes what programs expect, and mounts the disk.
func mounts() error {
	for _, m := range []struct{ kind, at, from string }{
		{"devtmpfs", "/dev", "dev"}, {"proc", "/proc", "proc"}, {"sysfs", "/sys", "sys"},
		{"securityfs", "/sys/kernel/security", "security"}, {"tmpfs", "/tmp", "tmp"}, {"ext4", disk, "/dev/nvme0n1"},
	} {
		if m.kind == "ext4" {
			if err := await(m.from); err != nil {
				return err
			}
		}
		if err := unix.Mount(m.from, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := os.Mkdir(filepath.Join(disk, "tmp"), 0o1777); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return loadModules()
}

// await waits for a device that the kernel finds while we run already.
func await(path string) error {
	for range 6000 {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("no %s", path)
}

func loadModules() error {
	found, err := filepath.Glob("/*.ko")
	if err != nil {
		return err
	}
	for _, path := range found {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := unix.InitModule(data, ""); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// plain keeps the line from changing what is told on it.
func plain(line *os.File) error {
	t, err := unix.IoctlGetTermios(int(line.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Oflag &^= unix.OPOST
	return unix.IoctlSetTermios(int(line.Fd()), unix.TCSETS, t)
}

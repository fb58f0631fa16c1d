package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// machine is a machine of Vagrant's. What Vagrant keeps of it, its boxes among it,
// lies in the directory of this run.
type machine struct {
	folder, home, dot string
	environ           []string
}

// libvirtTime is how long libvirt's service may take to answer.
const libvirtTime = time.Minute

// up starts the machine of a system. The machine is to be destroyed also after an
// error.
func up(ctx context.Context, o options, s system) (*machine, error) {
	folder, err := filepath.Abs(filepath.Join("vmtests/vm", o.os))
	if err != nil {
		return nil, err
	}
	m := &machine{folder: folder, home: filepath.Join(o.work, "vagrant"), dot: filepath.Join(o.work, "machine")}
	m.environ = append(os.Environ(), "VAGRANT_CWD="+folder, "VAGRANT_HOME="+m.home, "VAGRANT_DOTFILE_PATH="+m.dot,
		"VAGRANT_CHECKPOINT_DISABLE=1", "VAGRANT_NO_COLOR=1")
	if o.inside {
		started, cancel := context.WithTimeout(ctx, libvirtTime)
		defer cancel()
		if err := startLibvirt(started, o.work); err != nil {
			return m, fmt.Errorf("start libvirt: %w", err)
		}
	}
	if o.provider == "libvirt" && !accelerated(ctx) {
		m.environ = append(m.environ, "KPM_VM_DRIVER=qemu")
	}
	if o.box != "" {
		name := "kpm/" + o.os
		m.environ = append(m.environ, "KPM_BOX="+name)
		if _, err := m.vagrant(ctx, "box", "add", "--name", name, o.box); err != nil {
			return m, err
		}
	}
	_, err = m.vagrant(ctx, "up", "--provider="+o.provider)
	return m, err
}

// accelerated reports whether libvirt has hardware to run machines on.
func accelerated(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "virsh", "--connect", "qemu:///system", "domcapabilities", "--virttype", "kvm").Output()
	return err == nil && virtualizes() && strings.Contains(string(out), "<domain>kvm</domain>")
}

// virtualizes reports whether this processor runs machines.
func virtualizes() bool {
	about, err := os.ReadFile("/proc/cpuinfo")
	return err == nil && (strings.Contains(string(about), " vmx") || strings.Contains(string(about), " svm"))
}

// vagrant runs a command of Vagrant's and returns what it printed.
func (m *machine) vagrant(ctx context.Context, arguments ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "vagrant", append([]string{"--no-tty"}, arguments...)...)
	cmd.Env = m.environ
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("vagrant %s: %w\n%s", arguments[0], err, withoutProgress(string(out)))
	}
	return string(out), nil
}

// withoutProgress leaves out the lines that Vagrant writes while it copies.
func withoutProgress(said string) string {
	var kept strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(said, "\r", "\n")) {
		if text := strings.TrimSpace(line); text != "" && !strings.Contains(text, "Progress: ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// destroy removes the machine.
func (m *machine) destroy(ctx context.Context) error {
	if m == nil {
		return nil
	}
	if _, err := os.Stat(m.dot); err != nil {
		return nil // it never was
	}
	_, err := m.vagrant(ctx, "destroy", "--force")
	return err
}

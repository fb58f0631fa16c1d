//go:build linux

// Package machine boots disposable machines of Debian and Ubuntu for tests and
// benchmarks: systemd-nspawn on an overlay of a tree that is built once and cached
// outside the checkout by its package list.
//
// It is for what must not touch the host (accounts, PAM, sudo, services,
// cgroup v2) and holds no test of its own.
package machine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is one running machine. Root is its file system as the host sees it.
type Machine struct {
	Root   string
	dir    string
	cgroup *cgroup
	nspawn *exec.Cmd
	exited chan error
	leader int
	binds  []Bind
}

// Bind is a directory of the host that the machine sees at Inside.
type Bind struct{ Host, Inside string }

// Boot starts a machine on an overlay of tree, which lies in memory, and waits
// until systemd has finished booting. prepare changes the root before that; it
// may be nil.
func Boot(ctx context.Context, tree string, prepare func(root string) error, binds ...Bind) (*Machine, error) {
	dir, err := os.MkdirTemp("", "kpm-machine-")
	if err != nil {
		return nil, fmt.Errorf("machine: %w", err)
	}
	m := &Machine{Root: filepath.Join(dir, "root"), dir: dir}
	if err := m.boot(ctx, tree, prepare, binds); err != nil {
		return nil, errors.Join(fmt.Errorf("machine: boot: %w", err), m.Close())
	}
	return m, nil
}

func (m *Machine) boot(ctx context.Context, tree string, prepare func(string) error, binds []Bind) error {
	// The overlay's own layers live on a tmpfs: an overlay cannot hold one.
	if err := syscall.Mount("tmpfs", m.dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mount tmpfs: %w", err)
	}
	upper, work := filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work")
	for _, d := range []string{m.Root, upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	layers := "lowerdir=" + tree + ",upperdir=" + upper + ",workdir=" + work
	if err := syscall.Mount("overlay", m.Root, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	if prepare != nil {
		if err := prepare(m.Root); err != nil {
			return err
		}
	}
	m.binds = binds
	return m.start(ctx)
}

// start boots what lies in Root.
func (m *Machine) start(ctx context.Context) error {
	name := filepath.Base(m.dir)
	var err error
	if m.cgroup, err = newCgroup(name); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	args := []string{"systemd-nspawn", "--quiet", "--directory=" + m.Root, "--boot", "--machine=" + name,
		"--register=no", "--keep-unit", "--private-network", "--console=passive"}
	for _, b := range m.binds {
		args = append(args, "--bind="+b.Host+":"+b.Inside)
	}
	m.nspawn = m.cgroup.command(args...)
	m.nspawn.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1")
	m.nspawn.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := m.nspawn.Start(); err != nil {
		return err
	}
	m.exited = make(chan error, 1)
	go func() { m.exited <- m.nspawn.Wait() }()
	return m.await(ctx)
}

// await polls, because nothing outside the machine is told when it has booted.
func (m *Machine) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		if m.leader == 0 {
			m.leader = findLeader(m.nspawn.Process.Pid)
		}
		if m.leader != 0 {
			out, _ := m.Command(ctx, "systemctl", "is-system-running").Output()
			if state := strings.TrimSpace(string(out)); state == "running" || state == "degraded" {
				return nil
			}
		}
		select {
		case err := <-m.exited:
			m.exited <- err
			return fmt.Errorf("systemd-nspawn ended: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not up after 60 s: %w", ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// findLeader returns the child of nspawn that is pid 1 inside, or 0.
func findLeader(nspawn int) int {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", nspawn, nspawn))
	if err != nil {
		return 0
	}
	for field := range strings.FieldsSeq(string(children)) {
		status, _ := os.ReadFile("/proc/" + field + "/status")
		comm, _ := os.ReadFile("/proc/" + field + "/comm")
		for line := range strings.Lines(string(status)) {
			if ns, ok := strings.CutPrefix(line, "NSpid:"); ok {
				ids := strings.Fields(ns)
				if len(ids) == 2 && ids[1] == "1" && strings.TrimSpace(string(comm)) == "systemd" {
					pid, _ := strconv.Atoi(field)
					return pid
				}
			}
		}
	}
	return 0
}

// Reboot restarts the machine as its own systemd does when it is told to, and waits
// until it has booted again. What runs there ends; what lies in Root stays, but for
// what each boot makes anew.
func (m *Machine) Reboot(ctx context.Context) error {
	const reboot = syscall.Signal(34 + 5) // SIGRTMIN+5, systemd(1)
	if err := syscall.Kill(m.leader, reboot); err != nil {
		return fmt.Errorf("machine: reboot: %w", err)
	}
	// Where nspawn manages no unit it leaves it to others to start it again.
	select {
	case <-m.exited:
	case <-ctx.Done():
		return fmt.Errorf("machine: reboot: it goes on: %w", ctx.Err())
	}
	m.nspawn, m.leader = nil, 0
	if err := m.cgroup.remove(filepath.Join(m.dir, "cgroup")); err != nil {
		return fmt.Errorf("machine: reboot: remove cgroup: %w", err)
	}
	m.cgroup = nil
	return m.start(ctx)
}

// Leader is the machine's process 1, by the host's number.
func (m *Machine) Leader() int { return m.leader }

// Command returns a command that runs inside the machine as root with a clean
// environment and no terminal.
func (m *Machine) Command(ctx context.Context, argv ...string) *exec.Cmd {
	args := append([]string{"-t", strconv.Itoa(m.leader), "-m", "-u", "-i", "-n", "-p", "-C", "--",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "TERM=dumb", "LANG=C.UTF-8"}, argv...)
	return exec.CommandContext(ctx, "nsenter", args...)
}

// Run runs argv inside the machine and returns what it printed on both streams.
func (m *Machine) Run(ctx context.Context, argv ...string) (string, error) {
	var out bytes.Buffer
	cmd := m.Command(ctx, argv...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("machine: %s: %w\n%s", strings.Join(argv, " "), err, out.String())
	}
	return out.String(), nil
}

// Close powers the machine off and removes it.
func (m *Machine) Close() error {
	var errs []error
	if m.nspawn != nil && m.nspawn.Process != nil {
		const powerOff = syscall.Signal(34 + 4) // SIGRTMIN+4, systemd(1)
		if m.leader != 0 {
			_ = syscall.Kill(m.leader, powerOff)
		}
		select {
		case <-m.exited:
		case <-time.After(time.Minute):
			errs = append(errs, syscall.Kill(-m.nspawn.Process.Pid, syscall.SIGKILL))
			<-m.exited
		}
	}
	if m.cgroup != nil {
		if err := m.cgroup.remove(filepath.Join(m.dir, "cgroup")); err != nil {
			errs = append(errs, fmt.Errorf("remove cgroup: %w", err))
		}
	}
	for _, mount := range []string{m.Root, m.dir} {
		if err := syscall.Unmount(mount, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOENT) {
			errs = append(errs, fmt.Errorf("unmount %s: %w", mount, err))
		}
	}
	return errors.Join(append(errs, os.RemoveAll(m.dir))...)
}

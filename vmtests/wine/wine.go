//go:build linux

// Package wine runs Windows programs under Wine 10, in a Debian 13 tree that is
// built once and cached outside the checkout by its package list.
//
// It is for Windows code paths as far as Wine is honest; where it is not is a
// table (Dishonest). Debian 12's own Wine 8 cannot even start a Go program.
package wine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	suite  = "trixie"
	loader = "/usr/lib/wine/wine64"
	server = "/usr/lib/wine/wineserver64"
	// prefix is where Windows' drives lie, as the tree sees it.
	prefix = "/windows"
)

// packages are what the tree has beyond Debian's minimal base.
var packages = []string{"ca-certificates", "wine", "wine64"}

// environment is all that a program under Wine is started with.
var environment = []string{
	"PATH=/usr/bin:/bin", "HOME=/root", "LANG=C.UTF-8", "DISPLAY=", "WINEPREFIX=" + prefix, "WINEDEBUG=-all",
	"WINEDLLOVERRIDES=mscoree=;mshtml=;winemenubuilder.exe=",
}

// Machine is a Windows of its own, on a disposable overlay of the cached tree.
type Machine struct {
	root   string   // its file system as the host sees it
	dir    string   // root, and the overlay's layers
	mounts []string // what Close unmounts, last first
	init   *exec.Cmd
	held   *os.File // process 1 ends when this is closed
	leader int
}

// Tree returns the cached tree, with a prefix in it, and builds it first if need
// be (about a minute and the Debian mirror). cache is a directory owned by root.
func Tree(ctx context.Context, cache string, progress io.Writer) (string, error) {
	key := sha256.Sum256([]byte(suite + "\n" + strings.Join(append(packages, environment...), "\n")))
	tree := filepath.Join(cache, "wine10-"+hex.EncodeToString(key[:6]))
	if _, err := os.Stat(filepath.Join(tree, prefix, "drive_c")); err == nil {
		return tree, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("wine: cache: %w", err)
	}
	fmt.Fprintf(progress, "building the Debian 13 tree with Wine 10 in %s (once, about a minute)\n", tree)
	partial, err := os.MkdirTemp(cache, "partial-")
	if err != nil {
		return "", fmt.Errorf("wine: cache: %w", err)
	}
	defer os.RemoveAll(partial)
	cmd := exec.CommandContext(ctx, "mmdebstrap", "--quiet", "--variant=apt", "--mode=root",
		"--aptopt=APT::Install-Recommends false", "--include="+strings.Join(packages, ","),
		"--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
		"--dpkgopt=path-exclude=/usr/share/locale/*", suite, partial)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("wine: mmdebstrap: %w\n%s", err, out)
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return "", fmt.Errorf("wine: cache: %w", err)
	}
	if err := makePrefix(ctx, partial); err != nil {
		return "", fmt.Errorf("wine: make the prefix: %w", err)
	}
	if err := os.Rename(partial, tree); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return "", fmt.Errorf("wine: cache: %w", err)
	}
	return tree, nil
}

// makePrefix boots Windows once in tree, which fills its drive C.
func makePrefix(ctx context.Context, tree string) error {
	m := &Machine{root: tree}
	err := m.boot(ctx)
	if err == nil {
		var out []byte
		if out, err = m.Command(ctx, "wineboot", "-i").CombinedOutput(); err != nil {
			err = fmt.Errorf("wineboot: %w\n%s", err, out)
		}
	}
	return errors.Join(err, m.Close(ctx))
}

// Bind is a directory of the host that Windows sees at Z: and Inside.
type Bind struct{ Host, Inside string }

// Boot returns a machine on an overlay of tree, which lies in memory. Windows
// itself starts with the first program.
func Boot(ctx context.Context, tree string, binds ...Bind) (*Machine, error) {
	dir, err := os.MkdirTemp("", "kpm-wine-")
	if err != nil {
		return nil, fmt.Errorf("wine: %w", err)
	}
	m := &Machine{root: filepath.Join(dir, "root"), dir: dir}
	err = m.overlay(tree)
	for _, b := range binds {
		if err == nil {
			err = m.bind(b.Host, b.Inside)
		}
	}
	if err == nil {
		err = m.boot(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("wine: %w", err), m.Close(ctx))
	}
	return m, nil
}

func (m *Machine) overlay(tree string) error {
	// The overlay's own layers live on a tmpfs: an overlay cannot hold one.
	if err := m.mount("tmpfs", m.dir, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	upper, work := filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work")
	for _, d := range []string{m.root, upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	return m.mount("overlay", m.root, "overlay", 0, "lowerdir="+tree+",upperdir="+upper+",workdir="+work)
}

func (m *Machine) mount(source, target, kind string, flags uintptr, data string) error {
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", source, target, err)
	}
	m.mounts = append([]string{target}, m.mounts...)
	return nil
}

func (m *Machine) bind(host, inside string) error {
	target := filepath.Join(m.root, inside)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	return m.mount(host, target, "", syscall.MS_BIND, "")
}

// boot starts the process that holds the machine's namespaces. With it ends
// every process of the machine, wineserver and services included.
func (m *Machine) boot(ctx context.Context) error {
	if err := m.bind("/dev", "/dev"); err != nil {
		return err
	}
	held, hold, err := os.Pipe()
	if err != nil {
		return err
	}
	defer held.Close()
	m.held = hold
	// unshare's own child is process 1 of the namespace. It reaps what nobody
	// waits for, and ends with us, however we end.
	m.init = exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private",
		"--mount-proc=/proc", "--root="+m.root, "--wd=/",
		"sh", "-c", "cat <&3 & wait $!")
	m.init.ExtraFiles = []*os.File{held}
	if err := m.init.Start(); err != nil {
		return err
	}
	// Nothing tells from outside that the namespaces are there.
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		pid := m.init.Process.Pid
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if leader, err := strconv.Atoi(strings.TrimSpace(string(children))); err == nil {
			if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", leader)); string(name) == "sh\n" {
				m.leader = leader
				return nil
			}
		}
		if ctx.Err() != nil || time.Now().After(deadline) {
			return errors.Join(errors.New("unshare did not start process 1"), ctx.Err())
		}
	}
}

// Command returns a command that runs a Windows program. Its streams are the
// command's.
func (m *Machine) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	return m.inside(ctx, append([]string{loader, program}, args...)...)
}

func (m *Machine) inside(ctx context.Context, argv ...string) *exec.Cmd {
	leader := strconv.Itoa(m.leader)
	args := append([]string{"-t", leader, "-m", "-p", "-r", "-w", "--", "env", "-i"}, environment...)
	return exec.CommandContext(ctx, "nsenter", append(args, argv...)...)
}

// Restart ends every Windows process and all services, as a shutdown does. The
// next program boots Windows again, with what is on its disk.
func (m *Machine) Restart(ctx context.Context) error {
	var status *exec.ExitError // it has ended by itself
	if err := m.inside(ctx, server, "-k").Run(); err != nil && !errors.As(err, &status) {
		return fmt.Errorf("wine: %s -k: %w", server, err)
	}
	if err := m.inside(ctx, server, "-w").Run(); err != nil {
		return fmt.Errorf("wine: %s -w: %w", server, err)
	}
	return nil
}

// Close ends every process of the machine and forgets what they wrote.
func (m *Machine) Close(ctx context.Context) error {
	var errs []error
	if m.leader != 0 {
		errs = append(errs, m.Restart(ctx))
	}
	if m.held != nil {
		errs = append(errs, m.held.Close())
	}
	if m.init != nil && m.init.Process != nil {
		m.init.Wait() // its status is process 1's
	}
	for _, target := range m.mounts {
		if err := syscall.Unmount(target, syscall.MNT_DETACH); err != nil {
			errs = append(errs, fmt.Errorf("wine: unmount %s: %w", target, err))
		}
	}
	if m.dir != "" {
		errs = append(errs, os.RemoveAll(m.dir))
	}
	return errors.Join(errs...)
}

//go:build linux

// Command bench measures whole elevations against sudo and pkexec, and the
// service's own start, recovery and memory, ours and the peers inside one
// disposable machine; then verdicts about signatures against sha256sum and
// osslsigncode. `make bench` runs it. It prints ratios; it never judges.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"kpm/vmtests/agent"
	"kpm/vmtests/machine"
)

const (
	cache       = "/var/cache/kpm-vmtests"
	inMemory    = "/opt/KeeperPrivilegeManager"
	onDisk      = "/srv/disk/agent"
	driver      = "/usr/local/bin/kpm-bench"
	testDir     = "/usr/local/lib/kpm-bench"
	sudoersRule = "alice ALL=(ALL) NOPASSWD: ALL\nDefaults use_pty\n"
	polkitRule  = `polkit.addRule(function(action, subject) { return polkit.Result.YES; });` + "\n"
)

// benchmarks are Go benchmarks that run inside the machine, by package.
var benchmarks = map[string]string{
	"core/policy": "Decide/",
	"broker":      "RoundTrip|Echo",
}

func main() {
	staged := flag.String("agent", "build/agent", "staged agent root")
	rounds := flag.Int("rounds", 300, "elevations per comparison")
	part := flag.String("part", "all", "all, or trust for verdicts about signatures alone")
	inside := flag.Bool("inside", false, "measure; used inside the machine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case *inside:
		err = measure(ctx, *staged, *rounds)
	case *part == "trust":
		err = judge(ctx, *staged)
	default:
		err = errors.Join(outside(ctx, *staged, *rounds), judge(ctx, *staged))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// outside boots a machine with everything in it and runs measure there.
func outside(ctx context.Context, staged string, rounds int) (err error) {
	tree, err := machine.Tree(ctx, cache, os.Stderr)
	if err != nil {
		return err
	}
	disk, err := os.MkdirTemp("/var/tmp", "kpm-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(disk)) }()
	if err := os.Chmod(disk, 0o755); err != nil {
		return err
	}
	if _, err := agent.New(staged, disk, policies); err != nil {
		return err
	}
	m, err := machine.Boot(ctx, tree, func(root string) error { return prepare(ctx, root, staged) },
		machine.Bind{Host: disk, Inside: filepath.Dir(onDisk)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()

	cmd := m.Command(ctx, driver, "--inside", "--rounds", strconv.Itoa(rounds))
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}

// prepare puts the agent, this program, the Go benchmarks and the peers' rules
// into the machine's root.
func prepare(ctx context.Context, root, staged string) error {
	if _, err := agent.New(staged, filepath.Join(root, "opt"), policies); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(root, "opt/agent"), filepath.Join(root, inMemory)); err != nil {
		return err
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, testDir), 0o755); err != nil {
		return err
	}
	for name, data := range map[string][]byte{
		driver:                                 self,
		"/etc/sudoers.d/alice":                 []byte(sudoersRule),
		"/etc/polkit-1/rules.d/00-bench.rules": []byte(polkitRule),
	} {
		mode := os.FileMode(0o644)
		if name == driver {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(root, name), data, mode); err != nil {
			return err
		}
	}
	for pkg := range benchmarks {
		out := filepath.Join(root, testDir, filepath.Base(pkg)+".test")
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", out, "./"+pkg)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go test -c %s: %w\n%s", pkg, err, text)
		}
	}
	return nil
}

var policies = map[string]string{"bench.json": `{
  "PolicyId": "bench", "PolicyName": "Everything", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"]
}`}

//go:build linux

// Command bench measures whole elevations against sudo and pkexec, the
// service's start, recovery and memory, decisions, the bus and verdicts about
// signatures: this tree's, another revision's if one is named, and the peers'
// strictly in turn, in one run on one machine. `make bench` runs it. It prints
// medians and ratios; it never judges.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/machine"
)

const (
	cache       = "/var/cache/kpm-vmtests"
	testsIn     = "/usr/local/lib/kpm-bench" // Go benchmarks, inside the machine
	driver      = "/usr/local/bin/kpm-bench"
	sudoersRule = "alice ALL=(ALL) NOPASSWD: ALL\nbob ALL=(ALL) NOPASSWD: ALL\nDefaults use_pty\n"
	polkitRule  = `polkit.addRule(function(action, subject) { return polkit.Result.YES; });` + "\n"
	settings    = `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0},
 "PluginMonitoring": {"BreakerWindowSeconds": 1}}`
)

// crowdSettings let everybody of a crowd wait at the same time, as sudo does.
const crowdSettings = `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0},
 "Requests": {"MaxOpen": 1024, "MaxOpenPerUser": 512}}`

var policies = map[string]string{"bench.json": `{
  "PolicyId": "bench", "PolicyName": "Everything", "PolicyType": "PrivilegeElevation", "Status": "enforce",
  "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["*"]
}`}

// Where a side's agents lie: at paths of one length and depth for every side.
func inMemory(side string) string { return "/opt/kpm-" + side + "/agent" }
func onDisk(side string) string   { return "/srv/disk/kpm-" + side + "/agent" }

func main() {
	staged := flag.String("agent", "build/agent", "staged agent of this tree")
	base := flag.String("base", "", "git revision to compare with")
	rows := flag.String("rows", ".", "which groups: elevation, durable, start-up, restart, plugin, memory, decision, bus, jobs, journal, crowd, idle, policies, execution, launch, peer, verdict, key, hostile, remembered, approval")
	samples := flag.Int("samples", 0, "elevations of each kind; the rest takes fewer (default 240, 300 beside a base, fewer on a machine on which programs start slowly)")
	attacks := flag.String("attacks", ".", "which attacks of the group hostile, by name")
	sides := flag.String("inside", "", "the sides to measure; used inside the machine")
	attack := flag.String("attack", "", "do one attack of the group hostile until killed; used inside the machine")
	against := flag.String("against", "", "agent root, or sudo, that is attacked")
	seated := flag.Bool("seat", false, "run the command lines that are read, at this terminal; used inside the machine")
	callers := flag.Int("callers", 0, "be so many callers of the command line that follows; used inside the machine")
	each := flag.Int("each", 1, "how often each of them calls")
	plugin := flag.String("plugin", "", "be the plugin of that id; used inside the machine")
	flag.Parse()
	if *plugin != "" {
		os.Exit(bePlugin(*plugin))
	}
	if *callers > 0 {
		if err := beCallers(os.Stdout, *callers, *each, flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *seated {
		if err := lead(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *attack != "" {
		if err := doAttack(ctx, *attack, *against); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	err := run(ctx, *staged, *base, *rows, *attacks, *samples, *sides)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, staged, base, rows, attacks string, samples int, sides string) error {
	pattern, err := regexp.Compile(rows)
	if err != nil {
		return err
	}
	against, err := regexp.Compile(attacks)
	if err != nil {
		return err
	}
	p := plan{rows: pattern, attacks: against, samples: samples}
	if p.samples <= 0 {
		most := mostAlone
		if base != "" {
			most = mostCompared
		}
		if p.samples, err = affordable(ctx, most); err != nil {
			return err
		}
	}
	if sides != "" {
		return newMeter(p, os.Stdout).inside(ctx, strings.Split(sides, ","))
	}
	return outside(ctx, p, staged, base)
}

// outside stages BASE, measures in the machine and on this one, and prints.
func outside(ctx context.Context, p plan, staged, base string) (err error) {
	sides := []string{sideNew}
	agents := map[string]string{sideNew: staged}
	sources := map[string]string{sideNew: "."}
	if base != "" {
		revision, err := agent.Checkout(ctx, base)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, revision.Close()) }()
		sides = append(sides, sideOld)
		agents[sideOld], sources[sideOld] = revision.Staged(), revision.Dir
	}
	fmt.Printf("%s; %d elevations of each kind\n", heading, p.samples)
	var rows []row
	show := func(measure func(w io.Writer) error) error {
		more, err := collect(measure)
		rows = append(rows, more...)
		return err
	}
	if p.wantsAny(groupElevation, groupDurable, groupStartUp, groupRestart, groupPlugin, groupMemory, groupDecision, groupBus, groupJobs, groupJournal, groupCrowd, groupIdle, groupPolicies, groupHostile, groupRemember, groupApproval) {
		err = show(func(w io.Writer) error { return inMachine(ctx, p, w, agents, sources, sides) })
	}
	err = errors.Join(err, show(func(w io.Writer) error { return onHost(ctx, p, w, agents, sources, sides) }))
	if base != "" {
		fmt.Println(summary(rows))
	}
	return err
}

// collect prints rows as they arrive, one JSON object each, and returns them.
func collect(measure func(w io.Writer) error) ([]row, error) {
	r, w := io.Pipe()
	measured := make(chan error, 1)
	go func() {
		err := measure(w)
		w.Close()
		measured <- err
	}()
	var rows []row
	for d := json.NewDecoder(r); ; {
		var next row
		if err := d.Decode(&next); err != nil {
			r.Close()
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return rows, errors.Join(<-measured, err)
		}
		next.print(os.Stdout)
		rows = append(rows, next)
	}
}

// inMachine boots a machine with everything in it and measures there.
func inMachine(ctx context.Context, p plan, w io.Writer, agents, sources map[string]string, sides []string) (err error) {
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
	m, err := machine.Boot(ctx, tree, func(root string) error {
		for _, side := range sides {
			roots := []string{filepath.Join(root, inMemory(side)), filepath.Join(disk, filepath.Base(filepath.Dir(onDisk(side))), "agent")}
			if p.wants(groupStartUp) {
				roots = append(roots, filepath.Join(root, withPlugins(side)), filepath.Join(root, withJournal(side)))
			}
			if p.wants(groupPolicies) {
				roots = append(roots, filepath.Join(root, withPolicies(side)))
			}
			for _, at := range roots {
				a, err := agent.New(agents[side], filepath.Dir(at), policies)
				if err != nil {
					return err
				}
				if err := a.Write("appsettings.json", settings); err != nil {
					return err
				}
			}
			if err := compile(ctx, p, insideBenchmarks, sources[side], filepath.Join(root, testsIn, side)); err != nil {
				return err
			}
		}
		compilePeers(ctx, p, insideBenchmarks, filepath.Join(root, testsIn, sideNew))
		return peers(root)
	}, machine.Bind{Host: disk, Inside: "/srv/disk"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	inside := func(argv ...string) error {
		cmd := m.Command(ctx, argv...)
		cmd.Stdout, cmd.Stderr = w, os.Stderr
		cmd.WaitDelay = time.Second // what runs inside ends with the machine
		return cmd.Run()
	}
	measure := []string{driver, "--inside", strings.Join(sides, ","), "--attacks", p.attacks.String(), "--samples", strconv.Itoa(p.samples), "--rows"}
	if err := inside(append(measure, p.rows.String())...); err != nil || !p.wants(groupCrowd) {
		return err
	}
	return inside(append(append([]string{"/usr/bin/taskset", "--cpu-list", "0"}, measure...), "^"+groupCrowd+"$")...)
}

// peers puts this program and the peers' rules into the machine's root.
func peers(root string) error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	for name, data := range map[string]string{
		"/etc/sudoers.d/alice":                 sudoersRule,
		"/etc/polkit-1/rules.d/00-bench.rules": polkitRule,
	} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(data), 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, driver), self, 0o755)
}

// onHost measures verdicts and the machine key here: osslsigncode and swtpm are
// not in the machine.
func onHost(ctx context.Context, p plan, w io.Writer, agents, sources map[string]string, sides []string) error {
	if !p.wantsAny(groupExecution, groupLaunch, groupPeer, groupVerdict, groupKey) {
		return nil
	}
	m := newMeter(p, w)
	if p.wants(groupVerdict) {
		if err := m.verdicts(ctx, agents, sides); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "kpm-bench-")
	if err != nil {
		return err
	}
	for _, side := range sides {
		if err := compile(ctx, p, hostBenchmarks, sources[side], filepath.Join(dir, side)); err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
	}
	return errors.Join(m.goBenchmarks(ctx, hostBenchmarks, dir, sides, sources), os.RemoveAll(dir))
}

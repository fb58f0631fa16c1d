//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/terminal"
)

const (
	program = "/usr/bin/true"
	kills   = 21          // of KeeperPolicy
	window  = time.Second // of its breaker
)

// contender is one way to run the program.
type contender struct {
	name string
	argv []string
	tty  bool
}

// measure runs inside the machine.
func measure(ctx context.Context, _ string, rounds int) error {
	alice, err := user.Lookup("alice")
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(alice.Uid)
	if err != nil {
		return err
	}
	who := uint32(uid)
	ours := func(root string, tty bool) contender {
		return contender{"keepersudo", []string{filepath.Join(root, "keepersudo"), "--root", root, program}, tty}
	}
	sudo := func(tty bool) contender { return contender{"sudo", []string{"/usr/bin/sudo", program}, tty} }
	pkexec := contender{"pkexec", []string{"/usr/bin/pkexec", program}, false}
	bare := contender{"no elevation", []string{program}, false}

	memory, disk := agent.At(inMemory), agent.At(onDisk)
	err = memory.Write("appsettings.json", `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0},
 "PluginMonitoring": {"BreakerWindowSeconds": 1}}`)
	if err := errors.Join(err, startUp(ctx, memory)); err != nil {
		return err
	}
	if _, err := memory.Start(ctx); err != nil {
		return err
	}
	fmt.Println("Whole elevations of /usr/bin/true, strictly alternating, medians")
	for _, pair := range [][2]contender{
		{bare, sudo(false)}, {ours(inMemory, false), sudo(false)}, {ours(inMemory, true), sudo(true)}, {ours(inMemory, false), pkexec},
	} {
		if err := compare(ctx, who, pair, rounds, "journal in memory"); err != nil {
			return errors.Join(err, memory.Kill())
		}
	}
	if err := errors.Join(hops(ctx, memory), recovery(ctx, memory), footprint(ctx, memory), memory.Stop()); err != nil {
		return err
	}
	if _, err := disk.Start(ctx); err != nil {
		return err
	}
	err = errors.Join(compare(ctx, who, [2]contender{ours(onDisk, false), sudo(false)}, rounds, "journal on disk, one fdatasync"),
		hops(ctx, disk), disk.Stop())
	if err != nil {
		return err
	}
	return goBenchmarks(ctx)
}

// compare runs the two in turn and prints both medians and their ratio.
func compare(ctx context.Context, who uint32, pair [2]contender, rounds int, note string) error {
	var times [2][]time.Duration
	for i := range rounds + 10 {
		for side, c := range pair {
			took, err := once(ctx, who, c)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if i >= 10 { // the first rounds warm caches
				times[side] = append(times[side], took)
			}
		}
	}
	where := "no terminal"
	if pair[0].tty {
		where = "terminal"
	}
	a, b := percentile(times[0], 50), percentile(times[1], 50)
	fmt.Printf("  %-13s %7.2f ms   %-7s %7.2f ms   ratio %.2f   p95 %.2f / %.2f ms   %s, %s\n",
		pair[0].name, ms(a), pair[1].name, ms(b), float64(a)/float64(b),
		ms(percentile(times[0], 95)), ms(percentile(times[1], 95)), where, note)
	return nil
}

// once times one run of c by who, from fork to reaped.
func once(ctx context.Context, who uint32, c contender) (took time.Duration, err error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8", "HOME=/home/alice"}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: who, Gid: who}, Setsid: true}
	if c.tty {
		t, err := terminal.Open(who, 24, 80)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		t.Attach(cmd)
	} else {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return 0, err
		}
		defer null.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
	}
	began := time.Now()
	err = cmd.Run()
	took = time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%v: %w", c.argv, err)
	}
	return took, nil
}

// startUp times the service from fork to run/ports.json, which it writes when
// every plugin is healthy.
func startUp(ctx context.Context, a *agent.Agent) error {
	var times []time.Duration
	for range 11 {
		began := time.Now()
		if _, err := a.Start(ctx); err != nil {
			return err
		}
		times = append(times, time.Since(began))
		if err := a.Stop(); err != nil {
			return err
		}
	}
	fmt.Printf("Start-up to all plugins healthy: median %.0f ms, worst of 11 %.0f ms\n", ms(percentile(times, 50)), ms(percentile(times, 100)))
	return nil
}

// recovery times kill -9 of KeeperPolicy to healthy again under a new pid.
// Kills are further apart than the breaker's window, so that each is a first
// failure, not a loop.
func recovery(ctx context.Context, a *agent.Agent) error {
	client := a.Client()
	defer client.CloseIdleConnections()
	var times []time.Duration
	for range kills {
		before, err := a.Plugin(ctx, "KeeperPolicy")
		if err != nil {
			return err
		}
		began := time.Now()
		if err := syscall.Kill(before.ProcessID, syscall.SIGKILL); err != nil {
			return err
		}
		for {
			plugins, err := agent.PluginsBy(ctx, client)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(plugins, func(p agent.Plugin) bool {
				return p.ID == "KeeperPolicy" && p.Status == "Healthy" && p.ProcessID != before.ProcessID
			}) {
				break
			}
			if time.Since(began) > 30*time.Second {
				return fmt.Errorf("KeeperPolicy is not healthy 30 s after its death: %+v", plugins)
			}
			time.Sleep(500 * time.Microsecond) // nothing tells a stranger
		}
		times = append(times, time.Since(began))
		time.Sleep(2 * window)
	}
	fmt.Printf("Crash of KeeperPolicy to healthy again: median %.1f ms, worst of %d %.1f ms\n",
		ms(percentile(times, 50)), len(times), ms(percentile(times, 100)))
	return nil
}

// hops prints the medians between the journal's records of the last requests.
func hops(ctx context.Context, a *agent.Agent) error {
	out, err := a.Admin(ctx, "audit", "tail", "-n", "1500", "--json")
	if err != nil {
		return err
	}
	last := map[string]time.Time{}
	from := map[string]string{}
	steps := map[string][]time.Duration{}
	var order []string
	for line := range strings.Lines(out) {
		var r struct {
			Type    string    `json:"type"`
			Time    time.Time `json:"time"`
			Request string    `json:"request"`
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return err
		}
		if r.Request == "" {
			continue
		}
		if previous, ok := from[r.Request]; ok {
			step := previous + " to " + r.Type
			if steps[step] == nil {
				order = append(order, step)
			}
			steps[step] = append(steps[step], r.Time.Sub(last[r.Request]))
		}
		from[r.Request], last[r.Request] = r.Type, r.Time
	}
	fmt.Println("  by hop, from the journal's own times, medians:")
	for _, step := range order {
		fmt.Printf("    %-28s %6.0f us\n", step, float64(percentile(steps[step], 50))/1e3)
	}
	return nil
}

// footprint prints the resident memory of every process of the agent.
func footprint(ctx context.Context, a *agent.Agent) error {
	plugins, err := a.Plugins(ctx)
	if err != nil {
		return err
	}
	rows := map[string]int{"service": a.PID()}
	for _, p := range plugins {
		if p.ProcessID != 0 {
			rows[p.ID] = p.ProcessID
		}
	}
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return err
	}
	for _, name := range names {
		if comm, _ := os.ReadFile(name); strings.HasPrefix(string(comm), "keeperlaunch") {
			field := filepath.Base(filepath.Dir(name))
			pid, _ := strconv.Atoi(field)
			rows["held child "+field] = pid
		}
	}
	var total float64
	fmt.Println("Memory, resident:")
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		pid := rows[name]
		kb, err := resident(pid)
		if err != nil {
			return err
		}
		total += kb / 1024
		fmt.Printf("  %-20s %5.1f MB\n", name, kb/1024)
	}
	fmt.Printf("  %-20s %5.1f MB\n", "all", total)
	return nil
}

func resident(pid int) (kb float64, err error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "VmRSS:"); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("no VmRSS for %d", pid)
}

func goBenchmarks(ctx context.Context) error {
	for pkg, pattern := range benchmarks {
		fmt.Printf("Go benchmarks of %s:\n", pkg)
		cmd := exec.CommandContext(ctx, filepath.Join(testDir, filepath.Base(pkg)+".test"),
			"-test.run=^$", "-test.bench="+pattern, "-test.benchmem", "-test.benchtime=1s")
		cmd.Dir = "/tmp"
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", pkg, err, out)
		}
		nanos := map[string]float64{}
		for line := range strings.Lines(string(out)) {
			fields := strings.Fields(line)
			if len(fields) < 4 || !strings.HasPrefix(line, "Benchmark") {
				continue
			}
			fmt.Print("  ", line)
			name := strings.TrimSuffix(fields[0], "-"+strconv.Itoa(runtime.GOMAXPROCS(0)))
			nanos[name], _ = strconv.ParseFloat(fields[2], 64)
		}
		for name, ours := range nanos {
			group, of, _ := strings.Cut(name, "/")
			if peer, ok := nanos[group+"/mosquitto-"+of]; ok {
				fmt.Printf("  %s: ratio to mosquitto %.2f\n", name, ours/peer)
			}
		}
	}
	return nil
}

func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Clone(times)
	slices.Sort(sorted)
	return sorted[(len(sorted)-1)*p/100]
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

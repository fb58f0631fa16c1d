//go:build linux

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// goBenchmark are Go benchmarks of one package.
type goBenchmark struct {
	group, pkg, pattern string
	part                int    // of the samples that it takes; 0 is the 60th
	takesLong           bool   // so one will do where nothing is compared
	peers               string // folder of a module with the same benchmarks of others; empty for none
}

var (
	insideBenchmarks = []goBenchmark{
		{groupDecision, "core/policy", "Decide/", 100, false, "vmtests/bench/peers"},
		{groupBus, "broker", "RoundTrip|Echo|Flood|FanOut|Connect|Idle", 0, false, ""},
		{groupJobs, "jobs", "EventToFirstTask|Runs|LaunchJob", 0, false, ""},
		{groupJobs, "jobs", "TenThousandJobs", 100, true, ""},
		{groupJournal, "launcher/journal", "Open|Verify", 100, true, ""},
		{groupJournal, "launcher/journal", "GroupCommit|Sync", 0, false, ""},
	}
	// The keys lie in swtpm, which runs on the host: a real TPM takes ten to
	// two hundred milliseconds for a signature.
	hostBenchmarks = []goBenchmark{
		{groupExecution, "platform/linux/execution", "Execution", 0, false, ""}, // on file systems of its own
		{groupLaunch, "platform/linux", "Launch/", 100, false, ""},              // each builds keeperlaunch
		{groupPeer, "platform/linux", "PeerLocal|PeerTCP|Program|Sessions|AccountsByID", 0, false, ""},
		{groupVerdict, "trust/provenance", "Warm", 0, false, ""},
		{groupKey, "trust/tpm", "DeviceSign|DeviceSeal|DeviceUnseal|DeviceQuote", 0, false, ""},
		{groupKey, "trust/identity", "Handshake|Sign", 0, false, ""},
	}
)

// benchTime is how long each benchmark runs for one sample.
const benchTime = "100ms"

// compiled is where a benchmark's executable lies below a directory of them.
func (b goBenchmark) compiled(dir string) string {
	return filepath.Join(dir, path.Base(b.pkg)+".test")
}

// others is the same for its peers' executable.
func (b goBenchmark) others(dir string) string {
	return filepath.Join(dir, "peers-of-"+path.Base(b.pkg)+".test")
}

// compilePeers builds the benchmarks of others into dir. Where their modules cannot be
// had they are left out.
func compilePeers(ctx context.Context, p plan, benchmarks []goBenchmark, dir string) {
	for _, b := range benchmarks {
		if b.peers == "" || !p.wants(b.group) {
			continue
		}
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.others(dir), ".")
		build.Dir, build.Env = b.peers, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: no peers of %s: %v\n%s", b.pkg, err, out)
		}
	}
}

// compile builds the benchmarks of the tree at source into dir. A package that
// the tree does not have is left out.
func compile(ctx context.Context, p plan, benchmarks []goBenchmark, source, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var packages []string
	for _, b := range benchmarks {
		if _, err := os.Stat(filepath.Join(source, b.pkg)); errors.Is(err, fs.ErrNotExist) || !p.wants(b.group) {
			continue
		}
		packages = append(packages, "./"+b.pkg)
	}
	if len(packages) == 0 {
		return nil
	}
	build := exec.CommandContext(ctx, "go", append([]string{"test", "-c", "-o", dir + "/"}, packages...)...)
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c %s: %w\n%s", strings.Join(packages, " "), err, out)
	}
	return nil
}

// goBenchmarks runs the compiled benchmarks of all sides in turn.
// Those of a side lie in dir below its name. They run in their package's folder where
// a side has sources here.
func (m *meter) goBenchmarks(ctx context.Context, benchmarks []goBenchmark, dir string, sides []string, sources map[string]string) error {
	for _, b := range benchmarks {
		if !m.plan.wants(b.group) {
			continue
		}
		rows := map[string]row{}
		order := slices.Clone(sides)
		rounds := m.plan.share(cmp.Or(b.part, 60))
		if b.takesLong && len(sides) == 1 {
			rounds = max(1, m.plan.samples/(3*b.part))
		}
		for range rounds {
			for _, side := range order {
				path := b.compiled(filepath.Join(dir, side))
				in := filepath.Dir(path)
				if sources[side] != "" {
					in = filepath.Join(sources[side], b.pkg)
				}
				if err := b.sample(ctx, path, in, side, rows); err != nil {
					return err
				}
			}
			if b.peers != "" {
				if err := b.sample(ctx, b.others(filepath.Join(dir, sideNew)), dir, sideNew, rows); err != nil {
					return err
				}
			}
			slices.Reverse(order)
		}
		for _, name := range slices.Sorted(maps.Keys(rows)) {
			group, of, _ := strings.Cut(strings.TrimPrefix(name, b.pkg), "/")
			if slices.ContainsFunc(besides, func(peer string) bool { return strings.HasPrefix(of, peer+"-") }) {
				continue
			}
			r := rows[name]
			for _, peer := range besides {
				if measured, ok := rows[b.pkg+group+"/"+peer+"-"+of]; ok {
					r.Peers, r.Samples[peer] = append(r.Peers, peer), measured.Samples[sideNew]
				}
			}
			if err := m.out.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// besides are what begins the name of a benchmark that a row is measured beside.
var besides = []string{"mosquitto", "forkexec", "systemdrun", "sleep", "cedar", "opa"}

// ofTheirOwn are units of benchmarks whose time means nothing, and what rows call them.
var ofTheirOwn = []struct{ metric, unit, suffix string }{
	{"B/connection", "B", ""}, {"B/job", "B", ", memory of a job"}, {"p99-us", "us", ", 99 of 100 within"}, {"ns-over-bare", "ns", ", over a bare one"},
}

// processors is what the testing package adds to a benchmark's name.
var processors = regexp.MustCompile(`-\d+$`)

// sample runs all benchmarks of the executable at path once, in a folder, if there is
// one, and adds what they say to rows.
func (b goBenchmark) sample(ctx context.Context, path, in, side string, rows map[string]row) error {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cmd := exec.CommandContext(ctx, path, "-test.run=^$", "-test.bench="+b.pattern, "-test.benchtime="+benchTime)
	cmd.Dir = in
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", b.pkg, err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != "ns/op" {
			continue
		}
		nanos, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return fmt.Errorf("%s: %w: %s", b.pkg, err, line)
		}
		name := b.pkg + " " + strings.TrimPrefix(processors.ReplaceAllString(fields[0], ""), "Benchmark")
		add := func(name, unit string, value float64) {
			if rows[name].Samples == nil {
				rows[name] = row{Name: name, Unit: unit, Samples: map[string][]float64{}}
			}
			rows[name].Samples[side] = append(rows[name].Samples[side], value)
		}
		timed := true
		for _, own := range ofTheirOwn {
			if i := slices.Index(fields, own.metric); i > 0 {
				value, err := strconv.ParseFloat(fields[i-1], 64)
				if err != nil {
					return fmt.Errorf("%s: %w: %s", b.pkg, err, line)
				}
				timed = false
				add(name+own.suffix, own.unit, value)
			}
		}
		if timed {
			add(name, "us", nanos/1e3)
		}
	}
	return nil
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// goBenchmark are Go benchmarks of one package.
type goBenchmark struct {
	group, pkg, pattern string
}

var (
	insideBenchmarks = []goBenchmark{
		{groupDecision, "core/policy", "Decide/"},
		{groupBus, "broker", "RoundTrip|Echo|Flood|FanOut|Connect|Idle"},
		{groupJobs, "jobs", "EventToFirstTask|Run|ForkExec|LaunchJob"},
	}
	// The keys lie in swtpm, which runs on the host: a real TPM takes ten to
	// two hundred milliseconds for a signature.
	hostBenchmarks = []goBenchmark{
		{groupVerdict, "trust/provenance", "Warm"},
		{groupKey, "trust/tpm", "DeviceSign|DeviceSeal|DeviceUnseal|DeviceQuote"},
		{groupKey, "trust/identity", "Handshake|Sign"},
	}
)

// benchTime is how long each benchmark runs for one sample.
const benchTime = "100ms"

// compiled is where a benchmark's executable lies below a directory of them.
func (b goBenchmark) compiled(dir string) string {
	return filepath.Join(dir, strings.ReplaceAll(b.pkg, "/", "-")+".test")
}

// compile builds the benchmarks of the tree at source into dir. A package that
// the tree does not have is left out.
func compile(ctx context.Context, p plan, benchmarks []goBenchmark, source, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, b := range benchmarks {
		if !p.wants(b.group) {
			continue
		}
		if _, err := os.Stat(filepath.Join(source, b.pkg)); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		build := exec.CommandContext(ctx, "go", "test", "-c", "-o", b.compiled(dir), "./"+b.pkg)
		build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go test -c %s: %w\n%s", b.pkg, err, out)
		}
	}
	return nil
}

// goBenchmarks runs the compiled benchmarks of all sides in turn.
// Those of a side lie in dir below its name.
func (m *meter) goBenchmarks(ctx context.Context, benchmarks []goBenchmark, dir string, sides []string) error {
	for _, b := range benchmarks {
		if !m.plan.wants(b.group) {
			continue
		}
		rows := map[string]row{}
		order := slices.Clone(sides)
		for range m.plan.share(30) {
			for _, side := range order {
				if err := b.sample(ctx, filepath.Join(dir, side), side, rows); err != nil {
					return err
				}
			}
			slices.Reverse(order)
		}
		for _, name := range slices.Sorted(maps.Keys(rows)) {
			group, of, _ := strings.Cut(name, "/")
			if strings.HasPrefix(of, "mosquitto-") {
				continue
			}
			r := rows[name]
			if peer, ok := rows[group+"/mosquitto-"+of]; ok {
				r.Peers, r.Samples["mosquitto"] = []string{"mosquitto"}, peer.Samples[sideNew]
			}
			if err := m.out.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// ofMemory is the unit of a benchmark whose time means nothing.
const ofMemory = "B/connection"

// processors is what the testing package adds to a benchmark's name.
var processors = regexp.MustCompile(`-\d+$`)

// sample runs all benchmarks of one side once and adds what they say to rows.
func (b goBenchmark) sample(ctx context.Context, dir, side string, rows map[string]row) error {
	path := b.compiled(dir)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	cmd := exec.CommandContext(ctx, path, "-test.run=^$", "-test.bench="+b.pattern, "-test.benchtime="+benchTime)
	cmd.Dir = filepath.Dir(path)
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
		unit, value := "us", nanos/1e3
		if i := slices.Index(fields, ofMemory); i > 0 {
			if value, err = strconv.ParseFloat(fields[i-1], 64); err != nil {
				return fmt.Errorf("%s: %w: %s", b.pkg, err, line)
			}
			unit = "B"
		}
		name := b.pkg + " " + strings.TrimPrefix(processors.ReplaceAllString(fields[0], ""), "Benchmark")
		if rows[name].Samples == nil {
			rows[name] = row{Name: name, Unit: unit, Samples: map[string][]float64{}}
		}
		rows[name].Samples[side] = append(rows[name].Samples[side], value)
	}
	return nil
}

//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kpm/vmtests/agent"
)

// window is that of the plugins' breaker while we measure.
const window = time.Second

// restart times kill -9 of KeeperPolicy to healthy again under another pid.
func restart(ctx context.Context, vs versions) *turns {
	return newTurns("KeeperPolicy killed to healthy again", "ms", vs.each(func(a *agent.Agent) func() (float64, error) {
		return apart(func() (float64, error) {
			took, err := restartOnce(ctx, a)
			return milliseconds(took), err
		})
	}))
}

func restartOnce(ctx context.Context, a *agent.Agent) (time.Duration, error) {
	client := a.Client()
	defer client.CloseIdleConnections()
	before, err := a.Plugin(ctx, "KeeperPolicy")
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := syscall.Kill(before.ProcessID, syscall.SIGKILL); err != nil {
		return 0, err
	}
	for {
		plugins, err := agent.PluginsBy(ctx, client)
		if err != nil {
			return 0, err
		}
		if slices.ContainsFunc(plugins, func(p agent.Plugin) bool {
			return p.ID == "KeeperPolicy" && p.Status == "Healthy" && p.ProcessID != before.ProcessID
		}) {
			return time.Since(began), nil
		}
		if time.Since(began) > 30*time.Second {
			return 0, fmt.Errorf("KeeperPolicy is not healthy 30 s after its death: %+v", plugins)
		}
		time.Sleep(500 * time.Microsecond) // nothing tells a stranger
	}
}

// hops writes the times between the journal's records of the last requests.
func (m *meter) hops(ctx context.Context, where string, vs versions) error {
	rows := map[string]row{}
	var order []string
	for _, v := range vs {
		out, err := v.agent.Admin(ctx, "audit", "tail", "-n", "1500", "--json")
		if err != nil {
			return err
		}
		last := map[string]time.Time{}
		from := map[string]string{}
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
				name := fmt.Sprintf("hop %s, %s to %s", where, previous, r.Type)
				if rows[name].Samples == nil {
					order = append(order, name)
					rows[name] = row{Name: name, Unit: "us", Samples: map[string][]float64{}}
				}
				rows[name].Samples[v.side] = append(rows[name].Samples[v.side], float64(r.Time.Sub(last[r.Request]).Nanoseconds())/1e3)
			}
			from[r.Request], last[r.Request] = r.Type, r.Time
		}
	}
	for _, name := range order {
		if err := m.out.Encode(rows[name]); err != nil {
			return err
		}
	}
	return nil
}

// memory writes the resident memory of the agent by executable, and of all. when ends
// the rows' names.
func (m *meter) memory(ctx context.Context, vs versions, when string) error {
	rows := map[string]row{}
	for _, v := range vs {
		sizes, err := residents(v.agent.PID())
		if err != nil {
			return err
		}
		for name, size := range sizes {
			name = "memory, resident, " + name + when
			if rows[name].Samples == nil {
				rows[name] = row{Name: name, Unit: "MB", Samples: map[string][]float64{}}
			}
			rows[name].Samples[v.side] = []float64{size}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if err := m.out.Encode(rows[name]); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// residents sums the resident memory of a service and its descendants by the
// names of their executables.
func residents(service int) (map[string]float64, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return nil, err
	}
	sizes := map[string]float64{}
	for _, entry := range entries {
		dir := filepath.Dir(entry)
		pid, _ := strconv.Atoi(filepath.Base(dir))
		exe, err := os.Readlink(entry)
		if err != nil || !descends(pid, service) {
			continue // a kernel thread, or it has ended
		}
		if kb, ok := number(dir+"/status", "VmRSS:"); ok {
			sizes[filepath.Base(exe)] += kb / 1024
			sizes["all"] += kb / 1024
		}
	}
	if sizes["all"] == 0 {
		return nil, fmt.Errorf("process %d has no memory", service)
	}
	return sizes, nil
}

func descends(pid, ancestor int) bool {
	for pid > 1 && pid != ancestor {
		parent, _ := number(fmt.Sprintf("/proc/%d/status", pid), "PPid:")
		pid = int(parent)
	}
	return pid == ancestor
}

// number is the first number behind key in a file of /proc.
func number(path, key string) (float64, bool) {
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), key); ok {
			n, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return n, err == nil
		}
	}
	return 0, false
}

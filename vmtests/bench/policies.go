//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"kpm/vmtests/agent"
)

// withPolicies is where the agent of a side lies that has many policies.
func withPolicies(side string) string { return "/opt/kpm-" + side + "-policies/agent" }

// Many policies, as a backend sends them: in arrays.
const (
	policyFiles   = 10
	policiesEach  = 10_000
	policyProcess = "KeeperPolicy"
)

// readWithin is how long they may take to be read on a machine that is busy with other
// things.
const readWithin = 2 * time.Minute

// manyPolicies puts them in place; what they are about ends in suffix.
func manyPolicies(a *agent.Agent, suffix string) error {
	for file := range policyFiles {
		list := make([]string, policiesEach)
		for i := range list {
			list[i] = fmt.Sprintf(`{"PolicyId": "p%[1]d-%[2]d", "PolicyName": "Name of p%[1]d-%[2]d", "PolicyType": "PrivilegeElevation", "Status": "enforce",
 "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}}, "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/p%[1]d-%[2]d%[3]s"]}`, file, i, suffix)
		}
		if err := a.Write(fmt.Sprintf("Policies/%d.json", file), "["+strings.Join(list, ",\n")+"]"); err != nil {
			return err
		}
	}
	return nil
}

// manyPolicies measures how long an agent with many policies takes to start, and how much
// memory the process takes that decides by them: at most while it starts, afterwards, and
// at most while all of them are read again and those in force answer, once as they were and
// once with every file changed, which the service notices by itself as well.
func (m *meter) manyPolicies(ctx context.Context, vs versions) error {
	const many = policyFiles * policiesEach
	var rows []row
	for _, of := range [][2]string{
		{"start to KeeperPolicy healthy", "ms"}, {"KeeperPolicy, at most, at the start", "MB"}, {"KeeperPolicy, resident right after it", "MB"},
		{"a reload", "ms"}, {"KeeperPolicy, at most, a reload", "MB"}, {"KeeperPolicy, at most, a reload of changed files", "MB"},
	} {
		rows = append(rows, row{Name: fmt.Sprintf("%d policies, %s", many, of[0]), Unit: of[1], Samples: map[string][]float64{}})
	}
	order := slices.Clone(vs)
	for range m.plan.share(100) {
		for _, v := range order {
			took, err := sampleMany(ctx, agent.At(withPolicies(v.side)))
			if err != nil {
				return fmt.Errorf("%s: %d policies: %w", v.side, many, err)
			}
			for i, sample := range took {
				rows[i].Samples[v.side] = append(rows[i].Samples[v.side], sample)
			}
		}
		slices.Reverse(order)
	}
	for _, r := range rows {
		if err := m.out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// sampleMany takes one sample of each row of manyPolicies.
func sampleMany(ctx context.Context, a *agent.Agent) (took []float64, err error) {
	if err := manyPolicies(a, ""); err != nil {
		return nil, err
	}
	began := time.Now()
	if _, err := a.Start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, a.Stop()) }()
	start := time.Since(began)
	for { // the service waits for its plugins for a few seconds only
		healthy, err := decides(ctx, a)
		if err != nil {
			return nil, err
		}
		if healthy {
			break
		}
		if start > readWithin {
			return nil, fmt.Errorf("%s is not healthy after %s", policyProcess, start.Round(time.Second))
		}
		time.Sleep(10 * time.Millisecond)
		start = time.Since(began)
	}
	took = append(took, milliseconds(start))
	pid, err := descendant(a.PID(), policyProcess)
	if err != nil {
		return nil, err
	}
	status := fmt.Sprintf("/proc/%d/status", pid)
	note := func(key string) error {
		kb, ok := number(status, key)
		if !ok {
			return fmt.Errorf("%s: no %s", status, key)
		}
		took = append(took, kb/1024)
		return nil
	}
	if err := errors.Join(note("VmHWM:"), note("VmRSS:")); err != nil {
		return nil, err
	}
	for _, change := range []string{"", "-2"} {
		if change != "" {
			if err := manyPolicies(a, change); err != nil {
				return nil, err
			}
		}
		// From here on the most is counted anew.
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := readAgain(ctx, a); err != nil {
			return nil, err
		}
		if change == "" {
			took = append(took, milliseconds(time.Since(began)))
		}
		if err := note("VmHWM:"); err != nil {
			return nil, err
		}
	}
	return took, nil
}

// readAgain returns when policies have been read again. On a machine that does much else
// that takes longer than the service waits, and is asked for once more.
func readAgain(ctx context.Context, a *agent.Agent) (err error) {
	for range 4 {
		if _, err = a.Admin(ctx, "reload"); err == nil {
			return nil
		}
	}
	return err
}

// decides says whether the process that decides has read the policies.
func decides(ctx context.Context, a *agent.Agent) (bool, error) {
	out, err := a.Admin(ctx, "plugins", "list", "--json")
	if err != nil {
		return false, err
	}
	var list []struct{ ID, Status string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return false, fmt.Errorf("plugins list: %w", err)
	}
	for _, plugin := range list {
		if plugin.ID == policyProcess {
			return plugin.Status == "Healthy", nil
		}
	}
	return false, fmt.Errorf("plugins list: no %s in %s", policyProcess, out)
}

// descendant is the process below service that runs an executable of that name.
func descendant(service int, name string) (int, error) {
	entries, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(entry)))
		if exe, err := os.Readlink(entry); err == nil && filepath.Base(exe) == name && descends(pid, service) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process %s below %d", name, service)
}

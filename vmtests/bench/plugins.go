//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kpm/vmtests/agent"
)

// sleeper is a program that does nothing, kept running by each of the peers.
const sleeper = `{
  "id": "Sleeper", "pluginType": "Executable", "executablePath": "/usr/bin/sleep", "arguments": "infinity",
  "supportedPlatforms": ["Linux"], "metadata": {"mqttTopics": {"publish": [], "subscribe": []}},
  "autoStart": true, "requiresMonitoring": true, "autoRestart": true
}`

// plugins times kill -9 of KeeperPolicy, and of a program beside systemd and runit, until
// it runs again, and the reading of settings.
func (m *meter) plugins(ctx context.Context, vs versions) error {
	rounds := m.plan.share(14)
	if !m.plan.wants(groupPlugin) {
		return running(ctx, vs, func() error { return m.together(ctx, rounds, 1, restart(ctx, vs)) })
	}
	return withSleepers(ctx, vs, func(program *turns) error {
		kills := []*turns{program}
		if m.plan.wants(groupRestart) {
			kills = append(kills, restart(ctx, vs))
		}
		return errors.Join(
			m.together(ctx, rounds, 1, kills...),
			m.measure(ctx, "settings of a plugin read, local socket", "us", rounds, 1, vs.each(settingsRead(ctx))),
		)
	})
}

// withSleepers runs the agents, systemd and runit with a sleeper each for as long as do
// lasts, which gets to know how to kill them.
func withSleepers(ctx context.Context, vs versions, do func(kills *turns) error) (err error) {
	for _, v := range vs {
		if err := v.agent.Write("Plugins/Sleeper.json", sleeper); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.Remove(filepath.Join(v.agent.Root, "Plugins/Sleeper.json"))) }()
	}
	peers, err := newKeepers(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, peers.stop()) }()
	samplers := []sampler{
		{"systemd", apart(func() (float64, error) { return killed(ctx, peers.systemd) })},
		{"runit", apart(func() (float64, error) { return killed(ctx, peers.runit) })},
	}
	samplers = append(samplers, vs.each(func(a *agent.Agent) func() (float64, error) {
		client := a.Client()
		return apart(func() (float64, error) {
			return killed(ctx, func(ctx context.Context) (int, error) {
				list, err := agent.PluginsBy(ctx, client)
				for _, p := range list {
					if p.ID == "Sleeper" && p.Status == "Healthy" {
						return p.ProcessID, err
					}
				}
				return 0, err
			})
		})
	})...)
	return running(ctx, vs, func() error { return do(newTurns("program killed to running again", "ms", samplers)) })
}

// keepers are systemd and runit, each with a sleeper to keep.
type keepers struct {
	dir   string // of runit's service
	runsv *exec.Cmd
}

func newKeepers(ctx context.Context) (*keepers, error) {
	dir, err := os.MkdirTemp("", "runit-")
	if err != nil {
		return nil, err
	}
	k := &keepers{dir: dir, runsv: exec.Command("/usr/bin/runsv", dir)}
	if err := os.WriteFile(filepath.Join(dir, "run"), []byte("#!/bin/sh\nexec sleep infinity\n"), 0o755); err != nil {
		return nil, err
	}
	out, err := exec.CommandContext(ctx, "/usr/bin/systemd-run", "--unit=sleeper", "-p", "Restart=always", "-p", "RestartSec=0",
		"-p", "StartLimitIntervalSec=0", "/usr/bin/sleep", "infinity").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("systemd-run: %w\n%s", err, out)
	}
	return k, k.runsv.Start()
}

func (k *keepers) stop() error {
	err := exec.Command("/usr/bin/systemctl", "stop", "sleeper").Run()
	return errors.Join(err, k.runsv.Process.Signal(syscall.SIGTERM), k.runsv.Wait(), os.RemoveAll(k.dir))
}

// systemd returns the process that systemd keeps, 0 while there is none.
func (k *keepers) systemd(ctx context.Context) (int, error) {
	out, err := exec.CommandContext(ctx, "/usr/bin/systemctl", "show", "--value", "-p", "MainPID", "sleeper").Output()
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(out)))
}

func (k *keepers) runit(context.Context) (int, error) {
	text, err := os.ReadFile(filepath.Join(k.dir, "supervise", "pid"))
	if err != nil {
		return 0, nil // it has not made it yet
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text))) // empty while there is none
	return pid, nil
}

// apart has a process killed again only when the breaker's window, and the second for
// which runit wants one to have run, are over: each is a first failure, not a loop.
// Others are killed meanwhile, and have some time to themselves.
func apart(kill func() (float64, error)) func() (float64, error) {
	var last time.Time
	return func() (float64, error) {
		time.Sleep(max(window/4, time.Until(last.Add(window+window/4))))
		took, err := kill()
		last = time.Now()
		return took, err
	}
}

// killed times kill -9 of a process until another one is there.
func killed(ctx context.Context, pid func(context.Context) (int, error)) (float64, error) {
	next := func(not int) (int, error) {
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Microsecond) {
			if now, err := pid(ctx); err != nil || now != 0 && now != not {
				return now, err
			}
		}
		return 0, errors.New("it is not there within 30 s")
	}
	before, err := next(0)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		return 0, err
	}
	_, err = next(before)
	return milliseconds(time.Since(began)), err
}

// reads is how many readings of settings are one sample.
const reads = 200

func settingsRead(ctx context.Context) func(a *agent.Agent) func() (float64, error) {
	return func(a *agent.Agent) func() (float64, error) {
		client := a.Client()
		return func() (float64, error) {
			began := time.Now()
			for range reads {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/PluginSettings/KeeperPolicy", nil)
				if err != nil {
					return 0, err
				}
				answer, err := client.Do(request)
				if err != nil {
					return 0, err
				}
				_, err = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if err != nil || answer.StatusCode != http.StatusOK {
					return 0, fmt.Errorf("%s: %w", answer.Status, err)
				}
			}
			return float64(time.Since(began).Microseconds()) / reads, nil
		}
	}
}

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

// plugins times kill -9 of a program until it runs again, beside systemd and
// runit, and the reading of settings.
func (m *meter) plugins(ctx context.Context, vs versions) (err error) {
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
	return running(ctx, vs, func() error {
		samplers := []sampler{
			{"systemd", func() (float64, error) { return killed(ctx, peers.systemd) }},
			{"runit", func() (float64, error) { return killed(ctx, peers.runit) }},
		}
		samplers = append(samplers, vs.each(func(a *agent.Agent) func() (float64, error) {
			client := a.Client()
			return func() (float64, error) {
				return killed(ctx, func(ctx context.Context) (int, error) {
					list, err := agent.PluginsBy(ctx, client)
					for _, p := range list {
						if p.ID == "Sleeper" && p.Status == "Healthy" {
							return p.ProcessID, err
						}
					}
					return 0, err
				})
			}
		})...)
		return errors.Join(
			m.measure(ctx, "program killed to running again", "ms", m.plan.share(14), 1, samplers),
			m.measure(ctx, "settings of a plugin read, local socket", "us", m.plan.share(14), 1, vs.each(settingsRead(ctx))),
		)
	})
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

// killed times kill -9 of a process until another one is there, and then waits for
// longer than the breaker's window: each is a first failure.
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
	took := time.Since(began)
	time.Sleep(window + window/4)
	return milliseconds(took), err
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

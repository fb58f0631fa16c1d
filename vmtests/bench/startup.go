//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"kpm/core"
	"kpm/launcher/journal"
	"kpm/plugins/sdk"
	"kpm/vmtests/agent"
)

// Where the agents lie that only start: one with more plugins than the two that are
// bundled, and one with a long journal.
func withPlugins(side string) string { return "/opt/kpm-" + side + "-plugins/agent" }
func withJournal(side string) string { return "/opt/kpm-" + side + "-journal/agent" }

const (
	morePlugins = 3
	longJournal = 1_000_000 // records
)

// another is a plugin of this program's own, which does nothing but listen.
const another = `{
  "id": %[1]q, "pluginType": "Executable", "executablePath": %[2]q, "arguments": "--plugin %[1]s",
  "supportedPlatforms": ["Linux"], "Subscription": {"Topic": %[1]q, "Qos": 0, "CleanSession": true},
  "metadata": {"mqttTopics": {"publish": [], "subscribe": []}},
  "autoStart": true, "requiresMonitoring": true, "autoRestart": true
}`

// bePlugin is --plugin.
func bePlugin(id string) int {
	return sdk.Main(sdk.Config{ID: id}, func(ctx context.Context, a *sdk.Agent) error {
		if err := a.Subscribe(ctx, id, func(sdk.Message) {}); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
}

// startUps times the service from fork to the word to its service manager that it is
// ready, which is when every plugin is healthy: as it is installed, and then, beside that,
// with five plugins and with a long journal.
func (m *meter) startUps(ctx context.Context, vs versions) (err error) {
	rounds := m.plan.share(14)
	start := func(a *agent.Agent) func() (float64, error) {
		return func() (float64, error) {
			took, err := startUp(a)
			if err != nil {
				return 0, err
			}
			return milliseconds(took), a.Stop()
		}
	}
	if err := m.measure(ctx, "start-up to every plugin healthy", "ms", rounds, 1, vs.each(start)); err != nil {
		return err
	}
	var plugins, journals versions
	for _, v := range vs {
		p, j := version{v.side, agent.At(withPlugins(v.side))}, version{v.side, agent.At(withJournal(v.side))}
		plugins, journals = append(plugins, p), append(journals, j)
		for i := range morePlugins {
			id := "Bench" + strconv.Itoa(i)
			if err := p.agent.Write("Plugins/"+id+".json", fmt.Sprintf(another, id, driver)); err != nil {
				return err
			}
		}
		if err := fill(j.agent.Root); err != nil {
			return err
		}
		// It takes as much memory as everything else here.
		defer func() { err = errors.Join(err, os.RemoveAll(j.agent.Root)) }()
	}
	return errors.Join(
		m.measure(ctx, fmt.Sprintf("start-up, the bundled plugins and %d more", morePlugins), "ms", rounds, 1,
			append([]sampler{{"bundled", start(vs[0].agent)}}, plugins.each(start)...)),
		m.measure(ctx, fmt.Sprintf("start-up, %d records in the journal", longJournal), "ms", rounds, 1,
			append([]sampler{{"few", start(vs[0].agent)}}, journals.each(start)...)),
	)
}

// startUp starts a as a service manager does, and is told when it is ready: whoever looked
// again and again would take a processor from it, and be late by half of the time between.
func startUp(a *agent.Agent) (time.Duration, error) {
	socket := filepath.Join(filepath.Dir(a.Root), "manager.sock")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	defer os.Remove(socket)
	defer manager.Close()
	a.Env = []string{"NOTIFY_SOCKET=" + socket}
	began := time.Now()
	if err := errors.Join(manager.SetReadDeadline(began.Add(30*time.Second)), a.Launch()); err != nil {
		return 0, err
	}
	for said := make([]byte, 1024); ; {
		n, err := manager.Read(said)
		if err != nil {
			return 0, errors.Join(fmt.Errorf("the service does not say that it is ready: %w\n%s", err, a.Log()), a.Kill())
		}
		if string(said[:n]) == "READY=1" {
			return time.Since(began), nil
		}
	}
}

// fill writes a long journal below root: of requests that have ended, as the service
// writes it, but for the disk, which nobody waits for.
func fill(root string) (err error) {
	cfg := journal.Config{AuditDir: filepath.Join(root, "Audit"), StateDir: filepath.Join(root, "State"), WriteAtomic: os.WriteFile}
	if err := errors.Join(os.Mkdir(cfg.AuditDir, 0o700), os.Mkdir(cfg.StateDir, 0o700)); err != nil {
		return err
	}
	j, _, err := journal.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	for i := range longJournal / 2 {
		id := core.RequestID(fmt.Sprintf("%026d", i))
		opened := journal.Record{
			Type: journal.Opened, Request: id, UserID: "1000", User: "alice", TargetID: "0", Target: "root",
			Program: &core.Executable{Requested: program, Path: program, Protected: true}, Argv: []string{program}, Directory: "/",
		}
		if err := errors.Join(j.Append(opened), j.Append(journal.Record{Type: journal.Ended, Request: id})); err != nil {
			return err
		}
	}
	return nil
}

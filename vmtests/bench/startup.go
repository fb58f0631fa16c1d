//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
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

// startUps times the service from fork to run/ports.json, which it writes when every
// plugin is healthy: as it is installed, and then, beside that, with five plugins and
// with a long journal.
func (m *meter) startUps(ctx context.Context, vs versions) (err error) {
	rounds := m.plan.share(14)
	start := func(a *agent.Agent) func() (float64, error) {
		return func() (float64, error) {
			began := time.Now()
			if _, err := a.Start(ctx); err != nil {
				return 0, err
			}
			return milliseconds(time.Since(began)), a.Stop()
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

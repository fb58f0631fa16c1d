//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"

	"kpm/vmtests/agent"
)

// plan is what to measure, and how often.
type plan struct {
	rows    *regexp.Regexp // of groups
	attacks *regexp.Regexp // of the group hostile
	samples int            // elevations of each kind; the rest takes fewer
}

// Groups of rows, by which a plan chooses.
const (
	groupElevation = "elevation" // with its hops
	groupDurable   = "durable"
	groupStartUp   = "start-up"
	groupRestart   = "restart"
	groupPlugin    = "plugin" // killed to running again, and settings
	groupMemory    = "memory"
	groupDecision  = "decision"
	groupBus       = "bus"
	groupJobs      = "jobs"
	groupCrowd     = "crowd"    // many callers at once, on every processor and on one
	groupIdle      = "idle"     // what an agent takes that nobody asks for anything
	groupPolicies  = "policies" // very many of them, with the memory that they take
	groupJournal   = "journal"  // opened and verified, and made durable
	groupExecution = "execution"
	groupLaunch    = "launch" // what of an elevation is starting the command, beside a bare fork and exec
	groupPeer      = "peer"   // who is at the other end, in which session, and what they are called
	groupVerdict   = "verdict"
	groupKey       = "key"
	groupHostile   = "hostile" // what one user costs another
	groupRemember  = "remembered"
	groupApproval  = "approval"
)

func (p plan) wants(group string) bool { return p.rows.MatchString(group) }

func (p plan) wantsAny(groups ...string) bool {
	for _, group := range groups {
		if p.wants(group) {
			return true
		}
	}
	return false
}

// share is the part of the samples that something slow takes: at least three.
func (p plan) share(part int) int { return max(3, p.samples/part) }

// version is one side, running: its agent.
type version struct {
	side  string
	agent *agent.Agent
}

type versions []version

// each makes a sampler for each side.
func (vs versions) each(make func(a *agent.Agent) func() (float64, error)) []sampler {
	var samplers []sampler
	for _, v := range vs {
		samplers = append(samplers, sampler{v.side, make(v.agent)})
	}
	return samplers
}

func (vs versions) start(ctx context.Context) error {
	for _, v := range vs {
		if _, err := v.agent.Start(ctx); err != nil {
			return errors.Join(err, vs.stop())
		}
	}
	return nil
}

func (vs versions) stop() error {
	var errs []error
	for _, v := range vs {
		errs = append(errs, v.agent.Stop())
	}
	return errors.Join(errs...)
}

// meter writes rows as they are done.
type meter struct {
	plan plan
	out  *json.Encoder
}

func newMeter(p plan, w io.Writer) *meter { return &meter{plan: p, out: json.NewEncoder(w)} }

// measure takes samples in turn and writes the row.
func (m *meter) measure(ctx context.Context, name, unit string, rounds, warm int, samplers []sampler) error {
	return m.together(ctx, rounds, warm, newTurns(name, unit, samplers))
}

// together measures several rows round by round, so that what one waits for goes by
// while another is measured, and writes them.
func (m *meter) together(ctx context.Context, rounds, warm int, rows ...*turns) error {
	if err := alternate(ctx, rounds, warm, rows...); err != nil {
		return err
	}
	for _, t := range rows {
		if err := m.out.Encode(t.row); err != nil {
			return err
		}
	}
	return nil
}

// inside measures in the machine, where every side has an agent in memory, one
// on disk, and its Go benchmarks.
func (m *meter) inside(ctx context.Context, sides []string) error {
	alice, err := lookUp("alice")
	if err != nil {
		return err
	}
	var memory, disk versions
	for _, side := range sides {
		memory = append(memory, version{side, agent.At(inMemory(side))})
		disk = append(disk, version{side, agent.At(onDisk(side))})
	}
	if m.plan.wants(groupStartUp) {
		if err := m.startUps(ctx, memory); err != nil {
			return err
		}
	}
	if m.plan.wants(groupPolicies) {
		if err := m.manyPolicies(ctx, memory); err != nil {
			return err
		}
	}
	// Go benchmarks are taken while agents rest.
	left := insideBenchmarks
	benchmarks := func(n int) func() error {
		return func() error {
			now := left[:min(n, len(left))]
			left = left[len(now):]
			return m.goBenchmarks(ctx, now, testsIn, sides, nil)
		}
	}
	if m.plan.wantsAny(groupElevation, groupMemory, groupRemember, groupApproval) {
		if err := running(ctx, memory, func() error { return m.whileRunning(ctx, alice, memory, benchmarks(2)) }); err != nil {
			return err
		}
	}
	if m.plan.wantsAny(groupPlugin, groupRestart) {
		if err := m.plugins(ctx, memory); err != nil {
			return err
		}
	}
	if m.plan.wants(groupDurable) {
		if err := running(ctx, disk, func() error { return m.durable(ctx, alice, disk) }); err != nil {
			return err
		}
	}
	if m.plan.wants(groupHostile) {
		if err := m.hostile(ctx, alice, memory); err != nil {
			return err
		}
	}
	if m.plan.wantsAny(groupCrowd, groupIdle) {
		return m.crowded(ctx, alice, memory, benchmarks(len(left)))
	}
	return benchmarks(len(left))()
}

// running does something while every agent runs.
func running(ctx context.Context, vs versions, do func() error) error {
	if err := vs.start(ctx); err != nil {
		return err
	}
	return errors.Join(do(), vs.stop())
}

// whileRunning measures what agents of one kind run for. meanwhile is done while they
// rest.
func (m *meter) whileRunning(ctx context.Context, alice person, vs versions, meanwhile func() error) error {
	if m.plan.wantsAny(groupElevation, groupMemory) { // memory is that of agents that have worked
		if err := m.elevations(ctx, alice, vs); err != nil {
			return err
		}
	}
	if m.plan.wants(groupMemory) {
		if err := m.memory(ctx, vs, ""); err != nil {
			return err
		}
		if err := rest(ctx, meanwhile); err != nil {
			return err
		}
		if err := m.memory(ctx, vs, " at rest"); err != nil {
			return err
		}
	}
	if !m.plan.wantsAny(groupRemember, groupApproval) {
		return nil
	}
	return askedFor(ctx, alice, vs, func() error {
		if m.plan.wants(groupRemember) {
			if err := m.remembered(ctx, alice, vs); err != nil {
				return err
			}
		}
		if m.plan.wants(groupApproval) {
			return m.approvals(ctx, alice, vs)
		}
		return nil
	})
}

// elevations of one program: without elevation, by sudo, by pkexec, by ours.
func (m *meter) elevations(ctx context.Context, alice person, vs versions) error {
	bare := alice.sampler(ctx, "no elevation", command{argv: []string{program}})
	sudo := command{argv: []string{"/usr/bin/sudo", program}}
	pkexec := command{argv: []string{"/usr/bin/pkexec", program}}
	// Root's, for alice may start no unit: what systemd takes without deciding anything.
	var units []sampler
	for name, argv := range map[string][]string{
		"systemd-run": {"/usr/bin/systemd-run", "--quiet", "--wait", "--pipe", "--collect", program}, "run0": {"/usr/bin/run0", "--pipe", program},
	} {
		if _, err := os.Stat(argv[0]); err == nil {
			units = append(units, person{home: "/root"}.sampler(ctx, name, command{argv: argv}))
		}
	}
	plain := vs.each(func(a *agent.Agent) func() (float64, error) {
		return alice.sampler(ctx, "", keepersudo(a, program)).run
	})
	onTerminal := vs.each(func(a *agent.Agent) func() (float64, error) {
		return alice.sampler(ctx, "", keepersudo(a, program).onTerminal()).run
	})
	n, warm := m.plan.samples, min(10, m.plan.samples)
	return errors.Join(
		m.measure(ctx, "elevation, no terminal, journal in memory", "ms", n, warm,
			append([]sampler{bare, alice.sampler(ctx, "sudo", sudo)}, plain...)),
		m.measure(ctx, "elevation, terminal, journal in memory", "ms", n, warm,
			append([]sampler{alice.sampler(ctx, "sudo", sudo.onTerminal())}, onTerminal...)),
		m.measure(ctx, "elevation beside pkexec, no terminal", "ms", n, warm,
			append([]sampler{alice.sampler(ctx, "pkexec", pkexec)}, plain...)),
		m.measure(ctx, "elevation beside systemd's units, no terminal", "ms", n, warm, append(units, plain...)),
		m.hops(ctx, "in memory", vs),
	)
}

// durable elevations: the journal lies on a disk.
func (m *meter) durable(ctx context.Context, alice person, vs versions) error {
	samplers := append([]sampler{alice.sampler(ctx, "sudo", command{argv: []string{"/usr/bin/sudo", program}})},
		vs.each(func(a *agent.Agent) func() (float64, error) {
			return alice.sampler(ctx, "", keepersudo(a, program)).run
		})...)
	return errors.Join(
		m.measure(ctx, "elevation, durable: journal on disk, one fdatasync", "ms", m.plan.samples, min(10, m.plan.samples), samplers),
		m.hops(ctx, "on disk", vs),
	)
}

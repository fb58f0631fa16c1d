//go:build linux || windows

package launcher

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/journal"
	"kpm/launcher/seal"
	"kpm/launcher/start"
	"kpm/platform"
)

// helper is keeperlaunch.
var helper string

// machine is a Launcher on the real ports, with a policy that decides at once
// and a job that launches at once.
type machine struct {
	root     string
	host     port.Host
	journal  *journal.Journal
	registry *start.Registry
	starter  *start.Starter
	replay   journal.Replay
	// decide is the policy; nil allows everything.
	decide func(q wire.PolicyRequest) core.Outcome
	// paths are the arguments that it decides on as files.
	paths []core.PathArgument
	*Launcher
	deeds sync.WaitGroup
}

func newMachine(root string) (*machine, error) {
	m := &machine{root: root}
	var err error
	if m.host, err = platform.New(platform.Options{AgentRoot: root, Helper: helper, Spare: 2, Ends: filepath.Join(root, "State", "ends")}); err != nil {
		return nil, err
	}
	m.journal, m.replay, err = journal.Open(journal.Config{AuditDir: filepath.Join(root, "Audit"), StateDir: filepath.Join(root, "State"), WriteAtomic: m.host.Files.WriteAtomic})
	if err != nil {
		return nil, err
	}
	m.registry = start.NewRegistry(m.host.Tree, m.host.Tree.Self())
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	m.starter = start.New(start.Config{
		Facts: m.host.Facts, Files: m.host.Files, Accounts: m.host.Accounts, Launcher: m.host.Launcher, Tree: m.host.Tree,
		Registry: m.registry, Dir: filepath.Join(root, "State", "children"), Log: log,
	})
	sealer, err := seal.New(seal.Config{
		Facts: m.host.Facts, Files: m.host.Files, Accounts: m.host.Accounts, Administrator: m.registry.Administrator,
		Dir: filepath.Join(root, "run", "exec"), Log: log,
	})
	if err != nil {
		return nil, err
	}
	m.Launcher = New(Config{
		Facts: m.host.Facts, Launcher: m.host.Launcher, Tree: m.host.Tree, Terminals: m.host.Terminals,
		Sealer: sealer, Registry: m.registry, Journal: m.journal, Bus: m,
		Table: controls.Standard(), Controls: control.Bundled(nil, nil, nil, control.Justify{}), Machine: func() string { return "host" }, Limits: testLimits(), Log: log,
	})
	m.starter.Recover()
	m.PolicyListens()
	return m, m.Recover(m.replay)
}

// Ask implements Bus.
func (m *machine) Ask(_ context.Context, q wire.PolicyRequest) error {
	m.deeds.Go(func() {
		a := wire.PolicyResponse{RequestID: q.RequestID, SealDigest: q.SealDigest, Decision: core.Allow, Paths: m.paths}
		if m.decide != nil {
			a.Decision = m.decide(q)
		}
		m.Answer(policy, a)
	})
	return nil
}

// List implements Bus.
func (m *machine) List(_ context.Context, id string, _ wire.PolicyRequest) error {
	_, err := m.PolicyListed(policy, id, wire.PolicyResponse{Listing: &core.Listing{}})
	return err
}

// Probe implements Bus.
func (m *machine) Probe(_ context.Context, id string) error { return m.PolicyProbed(policy, id, "") }

// Raise implements Bus.
func (m *machine) Raise(_ context.Context, e wire.Event) error {
	id := core.RequestID(e.Context["RequestId"].(string))
	m.deeds.Go(func() {
		m.Launch(context.Background(), core.Principal{Kind: core.JobRun, Name: e.Name, Run: "1", Request: id}, id)
	})
	return nil
}

func (m *machine) stop(ctx context.Context) error {
	err := m.Close(ctx)
	m.deeds.Wait()
	return errors.Join(err, m.journal.Close(), m.host.Close())
}

// records returns the journal's records of one type.
func (m *machine) records(t testing.TB, kind journal.Type) []journal.Record {
	t.Helper()
	var list []journal.Record
	err := journal.Tail(context.Background(), filepath.Join(m.root, "Audit"), 1<<20, false, func(_ []byte, r journal.Record) error {
		if r.Type == kind {
			list = append(list, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Where the service of the crash test stops: what has just happened to its last
// request.
const (
	stopEvaluating = "evaluating" // policy was asked
	stopLaunching  = "launching"  // the launch job has asked, no child is held
	stopHeld       = "held"       // a child is held, which the journal does not name
	stopRecorded   = "recorded"   // the journal names the child durably, it is held
	stopReleased   = "released"   // the program was executed
)

// stops are the places, and the records that the last request has when the service is
// killed there.
var stops = []struct {
	at       string
	recorded []journal.Type
}{
	{stopEvaluating, []journal.Type{journal.Opened, journal.Evaluating}},
	{stopLaunching, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching}},
	{stopHeld, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching}},
	{stopRecorded, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching, journal.Launched}},
	{stopReleased, []journal.Type{journal.Opened, journal.Evaluating, journal.Allowed, journal.Launching, journal.Launched}},
}

// stopping is a Launcher that calls at before and after each step of a launch.
type stopping struct {
	port.Launcher
	at func(here string, child core.ProcessID)
}

func (s stopping) Prepare(ctx context.Context, spec port.LaunchSpec) (port.Held, error) {
	s.at(stopLaunching, core.ProcessID{})
	held, err := s.Launcher.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.at(stopHeld, held.ID())
	return stoppingHeld{held, s.at}, nil
}

type stoppingHeld struct {
	port.Held
	at func(here string, child core.ProcessID)
}

func (h stoppingHeld) Release(ctx context.Context) (port.Process, error) {
	h.at(stopRecorded, h.ID())
	p, err := h.Held.Release(ctx)
	h.at(stopReleased, h.ID())
	return p, err
}

// lastRequest returns the types of the records of the request opened last.
func lastRequest(t *testing.T, root string) (types []journal.Type) {
	t.Helper()
	var last core.RequestID
	err := journal.Tail(context.Background(), filepath.Join(root, "Audit"), 1<<20, false, func(_ []byte, r journal.Record) error {
		if r.Type == journal.Opened {
			last, types = r.Request, nil
		}
		if r.Request == last && last != "" {
			types = append(types, r.Type)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return types
}

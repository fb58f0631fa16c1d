package plugins

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeProcess is a process of a plugin that lives as long as the test says.
type fakeProcess struct {
	id    core.ProcessID
	ended chan struct{}
	// deaf processes do not end when they are asked to.
	deaf bool

	mu      sync.Mutex
	status  core.ExitStatus
	over    bool
	signals []signal.Signal
	kills   int
}

func (p *fakeProcess) ID() core.ProcessID { return p.id }

func (p *fakeProcess) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

func (p *fakeProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-p.ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.status, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

func (p *fakeProcess) end(s core.ExitStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.over, p.status = true, s
		close(p.ended)
	}
}

func (p *fakeProcess) Signal(sig signal.Signal) error {
	p.mu.Lock()
	p.signals = append(p.signals, sig)
	deaf := p.deaf
	p.mu.Unlock()
	if !deaf {
		p.end(core.ExitStatus{Signal: 15})
	}
	return nil
}

func (p *fakeProcess) Kill() error {
	p.mu.Lock()
	p.kills++
	p.mu.Unlock()
	p.end(core.ExitStatus{Signal: 9})
	return nil
}

// fakeStarter starts fakeProcesses and remembers when.
type fakeStarter struct {
	t *testing.T
	o *Orchestrator
	// born is called with each new process; nil means it becomes Healthy.
	born func(s core.ServiceSpec, p *fakeProcess)
	fail map[string]error // by plugin

	begun time.Time
	mu    sync.Mutex
	specs []core.ServiceSpec
	procs []*fakeProcess
	log   []string // "id@time since begun"
}

func (f *fakeStarter) StartService(_ context.Context, s core.ServiceSpec) (port.Process, error) {
	f.mu.Lock()
	f.log = append(f.log, fmt.Sprintf("%s@%v", s.As.Name, time.Since(f.begun)))
	if err := f.fail[s.As.Name]; err != nil {
		f.mu.Unlock()
		return nil, err
	}
	p := &fakeProcess{id: core.ProcessID{PID: 100 + len(f.procs)}, ended: make(chan struct{})}
	f.procs, f.specs = append(f.procs, p), append(f.specs, s)
	born := f.born
	f.mu.Unlock()
	if born != nil {
		born(s, p)
	} else {
		f.ready(s.As)
	}
	return p, nil
}

// StartInSession does the same.
func (f *fakeStarter) StartInSession(ctx context.Context, s core.ServiceSpec, _ core.Session) (port.Process, error) {
	return f.StartService(ctx, s)
}

// bear replaces born while plugins run.
func (f *fakeStarter) bear(born func(core.ServiceSpec, *fakeProcess)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.born = born
}

// ready plays the broker: the plugin has connected and subscribed.
func (f *fakeStarter) ready(p core.Principal) {
	f.o.Connected(p)
	f.o.Subscribed(p, p.Name)
}

func (f *fakeStarter) starts() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

func (f *fakeStarter) process(i int) *fakeProcess {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if i >= len(f.procs) {
		f.t.Fatalf("only %d processes were started: %v", len(f.procs), f.log)
	}
	return f.procs[i]
}

// manifest writes a plugin file and its program.
func manifest(id string, extra ...string) string {
	fields := append([]string{
		fmt.Sprintf(`"id": %q, "pluginType": "Executable", "executablePath": "bin/%s/%s", "supportedPlatforms": ["Linux"]`, id, id, id),
		fmt.Sprintf(`"Subscription": {"Topic": %q}, "metadata": {"mqttTopics": {"publish": ["KeeperLogger"], "subscribe": ["%s/Commands/+"]}}`, id, id),
	}, extra...)
	return "{" + strings.Join(fields, ", ") + "}"
}

const supervised = `"autoStart": true, "requiresMonitoring": true, "autoRestart": true`

// newTest makes an agent root with these plugin files, and an orchestrator that
// starts fakes in it. A program exists for every file.
func newTest(t *testing.T, files map[string]string) (*Orchestrator, *fakeStarter) {
	t.Helper()
	layout := settings.At(t.TempDir(), "")
	for id, text := range files {
		writeFile(t, filepath.Join(layout.Plugins(), id+".json"), text)
		writeFile(t, filepath.Join(layout.Plugins(), "bin", id, id), "#!/bin/true\n")
	}
	f := &fakeStarter{t: t, begun: time.Now()}
	f.o = newOrchestrator(t, layout, f)
	return f.o, f
}

func newOrchestrator(t testing.TB, layout settings.Layout, starter Starter) *Orchestrator {
	t.Helper()
	o, err := New(Config{
		Layout: layout, Platform: "Linux", BaseEnvironment: []string{"PATH=" + core.Linux.PathVariable()}, Monitoring: settings.Default().Monitoring,
		Read: readFile, Effective: settings.NewEffective(layout),
		Starter: starter, APIBaseURL: func() string { return "https://127.0.0.1:6889" },
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func status(t *testing.T, o *Orchestrator, id string) view.Plugin {
	t.Helper()
	for _, s := range o.List() {
		if s.ID == id {
			return s
		}
	}
	t.Fatalf("no plugin %s in %+v", id, o.List())
	return view.Plugin{}
}

// restartsOf counts the automatic restarts of a plugin since somebody started it.
func restartsOf(o *Orchestrator, id string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	p, _ := o.find(id)
	return p.restarts
}

func stopAll(t *testing.T, o *Orchestrator) {
	t.Helper()
	if err := o.Stop(context.Background()); err != nil {
		t.Error(err)
	}
}

var errBoom = errors.New("boom")

// readFile is a settings.Reader for files that nobody else can change.
func readFile(path string, _ int64) ([]byte, error) { return os.ReadFile(path) }

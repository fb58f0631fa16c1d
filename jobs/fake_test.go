package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
	"kpm/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a Service with every neighbour played by the test.
type harness struct {
	*Service
	t   testing.TB
	cfg Config

	mu        sync.Mutex
	unhandled []string // "event/request"
	ended     []ending
	completed []wire.JobCompleted
	changed   chan struct{}

	settings map[string]string // "plugin:key"
	commands task.Commands
	dialogs  task.Dialogs
	starter  *fakeStarter
	programs task.Starter     // starter, unless a test starts real ones
	more     task.Kinds       // beside the bundled ones
	asked    []core.Principal // who called LocalTransport
	api      http.Handler     // the local API
	history  *fakeHistory

	published []string // by newDefaults' publish-mqtt: a topic and a result
	logged    []string // by the same, on topic KeeperLogger
}

// Trigger is an event that the service itself has raised.
func (h *harness) Trigger(e wire.Event) { h.Service.Trigger(core.ServicePrincipal(), e) }

// Run is an administrator's.
func (h *harness) Run(ctx context.Context, id string, params map[string]any) (string, error) {
	return h.Service.Run(ctx, core.Principal{Kind: core.Admin, User: "0"}, id, params)
}

// fakeHistory keeps runs in memory.
type fakeHistory struct {
	mu    sync.Mutex
	runs  map[string]view.JobRun
	order []string
	due   map[string]time.Time
	err   error

	withRun []string // jobs whose schedule was remembered with a run, and its state then
}

func (f *fakeHistory) Save(run view.JobRun, due ...schedule.Due) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	for _, d := range due {
		f.due[d.Job+"/"+d.Schedule] = d.At
		f.withRun = append(f.withRun, d.Job+" "+run.State)
	}
	old, known := f.runs[run.ID]
	if known && run.State == "queued" {
		return nil
	}
	if !known {
		f.order = append(f.order, run.ID)
	}
	run.Tasks = old.Tasks
	f.runs[run.ID] = run
	return nil
}

func (f *fakeHistory) Settle(string) error { return nil }

func (f *fakeHistory) Note(run view.JobRun, due ...schedule.Due) error { return f.Save(run, due...) }

func (f *fakeHistory) NoteTask(id string, task view.TaskRun) error { return f.SaveTask(id, task) }

func (f *fakeHistory) SaveTask(id string, task view.TaskRun) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return f.err
	}
	run := f.runs[id]
	if n := len(run.Tasks); n > 0 && run.Tasks[n-1].Number == task.Number {
		run.Tasks = append(slices.Clone(run.Tasks[:n-1]), task)
	} else {
		run.Tasks = append(slices.Clone(run.Tasks), task)
	}
	f.runs[id] = run
	return nil
}

func (f *fakeHistory) Run(id string) (view.JobRun, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	run, ok := f.runs[id]
	if !ok {
		return run, errors.New("no such run")
	}
	return run, nil
}

func (f *fakeHistory) Runs(view.JobRunFilter) (page view.JobRuns, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range f.order {
		page.Runs = append(page.Runs, f.runs[id])
	}
	return page, nil
}

func (f *fakeHistory) LastDue(job, text string) (time.Time, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.due[job+"/"+text]
	return at, ok
}

func (f *fakeHistory) Due(times ...schedule.Due) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range times {
		f.due[d.Job+"/"+d.Schedule] = d.At
	}
}

// all returns the runs in the order in which they came.
func (f *fakeHistory) all() []view.JobRun {
	page, _ := f.Runs(view.JobRunFilter{})
	return page.Runs
}

// realFiles writes files.
type realFiles struct{}

func (realFiles) WriteAtomic(path string, data []byte, perm os.FileMode) error {
	return os.WriteFile(path, data, perm)
}

type ending struct {
	run   core.Principal
	event string
	err   error
}

func (h *harness) EventUnhandled(event string, id core.RequestID) {
	h.note(func() { h.unhandled = append(h.unhandled, event+"/"+string(id)) })
}

func (h *harness) JobEnded(run core.Principal, event string, err error) {
	h.note(func() { h.ended = append(h.ended, ending{run, event, err}) })
}

func (h *harness) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

// end waits for the n-th run to end and returns how.
func (h *harness) end(n int) ending {
	h.t.Helper()
	h.await(func() bool { return min(len(h.completed), len(h.ended)) > n }) // runs that were skipped have no end here
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended[n]
}

// await waits until what the harness has noted is so.
func (h *harness) await(is func() bool) {
	h.t.Helper()
	for {
		h.mu.Lock()
		so, changed := is(), h.changed
		h.mu.Unlock()
		if so {
			return
		}
		<-changed
	}
}

// skipped waits until n runs have been completed, of which none had a task.
func (h *harness) skipped(n int) {
	for {
		h.mu.Lock()
		count, changed := len(h.completed), h.changed
		h.mu.Unlock()
		if count >= n {
			return
		}
		<-changed
	}
}

// runNow runs a job by name to its end.
func (h *harness) runNow(id string, params map[string]any) error {
	h.t.Helper()
	h.mu.Lock()
	n := len(h.completed)
	h.mu.Unlock()
	if _, err := h.Run(context.Background(), id, params); err != nil {
		h.t.Fatal(err)
	}
	return h.end(n).err
}

// fakeStarter plays programs: what each prints, and how it ends.
type fakeStarter struct {
	layout settings.Layout
	mu     sync.Mutex
	specs  []core.ServiceSpec
	procs  []*fakeProcess
	// play writes to spec.Stdout and spec.Stderr and returns the exit; nil
	// means that the program runs until it is killed.
	play func(spec core.ServiceSpec) *core.ExitStatus
	err  error
}

func (f *fakeStarter) StartService(_ context.Context, spec core.ServiceSpec) (port.Process, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.specs = append(f.specs, spec)
	if f.err != nil {
		return nil, f.err
	}
	p := &fakeProcess{ended: make(chan struct{})}
	f.procs = append(f.procs, p)
	exit := &core.ExitStatus{}
	if f.play != nil {
		exit = f.play(spec)
	}
	if exit != nil {
		p.status = *exit
		close(p.ended)
		p.over = true
	}
	return p, nil
}

func (f *fakeStarter) StartUser(ctx context.Context, spec core.UserSpec) (port.Process, error) {
	return nil, fmt.Errorf("a session of %q: %w", spec.User, errors.ErrUnsupported)
}

func (f *fakeStarter) started() []core.ServiceSpec {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.specs)
}

type fakeProcess struct {
	ended  chan struct{}
	mu     sync.Mutex
	over   bool
	status core.ExitStatus
	kills  int
}

func (p *fakeProcess) ID() core.ProcessID                               { return core.ProcessID{PID: 1} }
func (p *fakeProcess) Signal(signal.Signal) error                       { return nil }
func (p *fakeProcess) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

func (p *fakeProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-p.ended:
		return p.status, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}
func (p *fakeProcess) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kills++
	if !p.over {
		p.over, p.status = true, core.ExitStatus{Signal: 9}
		close(p.ended)
	}
	return nil
}

// newHarness makes a service for these job files. "mytool" is a program that
// the starter plays.
func newHarness(t testing.TB, files map[string]string) *harness {
	t.Helper()
	layout := settings.At(t.TempDir(), "")
	for name, text := range files {
		writeFile(t, filepath.Join(layout.Jobs(), name+".json"), text)
	}
	writeFile(t, layout.JobBin("mytool", ""), "")
	h := &harness{t: t, changed: make(chan struct{}), settings: map[string]string{}, starter: &fakeStarter{layout: layout}}
	h.programs = h.starter
	h.commands = task.Commands{
		"echo": task.Echo,
		"fail": func(context.Context, core.Principal, map[string]any) (map[string]any, error) {
			return nil, errors.New("as asked")
		},
		"wait": func(ctx context.Context, _ core.Principal, _ map[string]any) (map[string]any, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
	}
	h.history = &fakeHistory{runs: map[string]view.JobRun{}, due: map[string]time.Time{}}
	h.cfg = Config{
		Version: "1.2.3", Files: realFiles{}, MaxRunning: 256, History: func() (History, error) { return h.history, nil }, Clock: schedule.SystemClock(),
		HasDesktop: func(user string) bool { return user == "ada" },
		Layout:     layout, Platform: "Linux", BaseEnvironment: []string{"PATH=" + core.Linux.PathVariable()},
		Read:           readFile,
		Taken:          func(id string) bool { return id == "KeeperPolicy" },
		Setting:        func(plugin, key string) (string, bool) { v, ok := h.settings[plugin+":"+key]; return v, ok },
		LocalTransport: h.local,
		APIBaseURL:     func() string { return "https://127.0.0.1:6889" },
		HTTPBaseURL:    func() string { return "http://127.0.0.1:6888" },
		Facts:          h,
		Completed:      func(c wire.JobCompleted) { h.note(func() { h.completed = append(h.completed, c) }) },
		Log:            slog.New(slog.DiscardHandler),
	}
	h.reload()
	t.Cleanup(func() {
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// New is a service that has read its files.
func New(cfg Config) (*Service, error) {
	s := Prepare(cfg)
	return s, s.Read()
}

// reload makes the service anew after the test changed cfg.
func (h *harness) reload() {
	h.t.Helper()
	h.cfg.Kinds = append(task.Bundled(task.Config{Layout: h.cfg.Layout, Platform: core.Linux, Starter: h.programs, Commands: h.commands, Dialogs: h.dialogs}), h.more...)
	s, err := New(h.cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	h.Service = s
}

// local reaches the local API as a run.
func (h *harness) local(run core.Principal) http.RoundTripper {
	dial := func(context.Context, string, string) (net.Conn, error) { return h.dial(run) }
	return &http.Transport{DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true}
}

// dial serves one request of the local API on a connection of its own.
func (h *harness) dial(run core.Principal) (net.Conn, error) {
	h.mu.Lock()
	h.asked = append(h.asked, run)
	h.mu.Unlock()
	if h.api == nil {
		return nil, errors.New("no API")
	}
	ours, theirs := net.Pipe()
	go func() {
		server := http.Server{Handler: h.api}
		server.SetKeepAlivesEnabled(false)
		_ = server.Serve(&oneConn{conn: theirs, done: make(chan struct{})})
	}()
	return ours, nil
}

// oneConn is a listener that has one connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	var c net.Conn
	l.once.Do(func() { c = l.conn })
	if c == nil {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.conn.LocalAddr() }

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// jobJSON is a job file with these tasks and further root fields.
func jobJSON(id, tasks string, fields ...string) string {
	extra := ""
	for _, f := range fields {
		extra += ", " + f
	}
	return fmt.Sprintf(`{"id": %q, "name": "%s job", "enabled": true, "tasks": [%s]%s}`, id, id, tasks, extra)
}

const (
	onPending = `"events": [{"eventType": "Custom", "customEvent": "PolicyEvaluationPending"}]`
	onLaunch  = `"events": [{"eventType": "Custom", "customEvent": "LaunchPrivilegeElevation"}]`
)

func onEvent(name string) string {
	return fmt.Sprintf(`"events": [{"eventType": "Custom", "customEvent": %q}]`, name)
}

func trustNobody(string, int64) ([]byte, error) { return nil, core.ErrNotProtected }

// readFile is a settings.Reader for files that nobody else can change.
func readFile(path string, _ int64) ([]byte, error) { return os.ReadFile(path) }

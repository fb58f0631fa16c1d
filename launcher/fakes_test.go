package launcher

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/journal"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
	"kpm/launcher/seal"
	"kpm/launcher/start"
	"kpm/platform/fake"
	"kpm/platform/linux"
)

// world is a machine of fakes around a real Launcher and a real journal.
type world struct {
	t         *testing.T
	dir       string
	files     *fakeFiles
	launch    *fakeLauncher
	tree      *fake.Tree
	terminals *fakeTerminals
	bus       *fakeBus
	journal   *journal.Journal
	registry  *start.Registry
	sealer    *seal.Sealer
	starter   *start.Starter
	seals     seal.Config
	starts    start.Config
	cfg       Config
	*Launcher

	results chan Result
}

var (
	root   = core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0"}, Home: "/root", Shell: "/bin/bash"}
	ada    = core.Account{User: "1000", Name: "ada", Group: "1000", Groups: []string{"1000", "27"}, Home: "/home/ada", Shell: "/bin/sh"}
	policy = core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
	self   = core.ProcessID{PID: 10, Start: 1}
	client = core.ProcessID{PID: 500, Start: 5}
)

// newWorld makes programs tool (Protected), mine (not), script (Protected) and
// the interpreter sh. configure may change the Config.
func newWorld(t *testing.T, configure ...func(*world, *Config)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), results: make(chan Result, 8)}
	w.files = &fakeFiles{Files: fake.NewFiles(w.dir), protected: map[string]bool{}}
	w.program("bin/tool", "\x7fELF tool", true)
	w.program("bin/sh", "\x7fELF sh", true)
	w.program("bin/script", "#!"+w.path("bin/sh")+" -e\necho\n", true)
	w.program("home/mine", "\x7fELF mine", false)
	w.launch = &fakeLauncher{w: w}
	w.tree = fake.NewTree(self)
	w.terminals = &fakeTerminals{}
	w.bus = &fakeBus{asks: make(chan wire.PolicyRequest, 16), events: make(chan wire.Event, 16)}
	w.registry = start.NewRegistry(w.tree, self)
	w.openJournal()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.seals = seal.Config{
		Facts: linux.Facts(), Files: w.files, Accounts: fake.Accounts{root, ada}, Administrator: w.registry.Administrator, Dir: w.path("exec"),
		Copies: seal.NewCopies(), Judging: seal.NewJudging(), Log: log,
	}
	w.starts = start.Config{
		Facts: linux.Facts(), Files: w.files, Accounts: fake.Accounts{root, ada}, Launcher: w.launch, Tree: w.tree, Registry: w.registry,
		Dir: w.path("children"), Log: log,
	}
	w.cfg = Config{
		Facts: linux.Facts(), Launcher: w.launch, Tree: w.tree, Terminals: w.terminals, Registry: w.registry, Journal: w.journal, Bus: w.bus,
		Table: controls.Standard(), Controls: control.Bundled(), Machine: "host", Limits: testLimits(), Log: log,
	}
	for _, f := range configure {
		f(w, &w.cfg)
	}
	w.starter = start.New(w.starts)
	w.sealer = newSealer(t, w.seals)
	w.cfg.Sealer = w.sealer
	l := New(w.cfg)
	w.Launcher = l
	t.Cleanup(func() {
		if !l.isClosed() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			l.Close(ctx)
		}
		w.journal.Close()
	})
	return w
}

func newSealer(t *testing.T, cfg seal.Config) *seal.Sealer {
	t.Helper()
	s, err := seal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) openJournal() journal.Replay {
	w.t.Helper()
	j, replay, err := journal.Open(journal.Config{AuditDir: w.path("Audit"), StateDir: w.path("State"), WriteAtomic: w.files.WriteAtomic})
	if err != nil {
		w.t.Fatal(err)
	}
	w.journal = j
	return replay
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) program(name, content string, protected bool) {
	w.t.Helper()
	path := w.path(name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
		w.t.Fatal(err)
	}
	w.files.protected[path] = protected
}

// submission is what ada's keepersudo sends for a program, with arguments.
func (w *world) submission(command string, args ...string) Submission {
	w.t.Helper()
	k := Submission{
		Request: seal.Request{
			Peer:    core.Peer{User: "1000", Processes: []core.ProcessID{client}, SameIdentity: true},
			Command: command, Argv: append([]string{filepath.Base(command)}, args...), Dir: w.handle(w.dir),
		},
		Env: []string{"TERM=xterm", "LD_PRELOAD=/tmp/x"},
	}
	k.Streams = port.Streams{Input: w.handle(os.DevNull), Output: w.handle(os.DevNull), Error: w.handle(os.DevNull)}
	if strings.Contains(command, "/") {
		k.Executable = w.handle(command)
	}
	return k
}

func (w *world) handle(path string) *os.File {
	w.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		w.t.Fatal(err)
	}
	return f
}

// visit is one Elevate under way.
type visit struct {
	w       *world
	caller  *fakeCaller
	leave   context.CancelFunc
	signals chan signal.Signal
	result  chan Result
	id      core.RequestID
	asked   wire.PolicyRequest
}

// elevate begins an Elevate and returns when policy has been asked.
func (w *world) elevate(k Submission) *visit {
	w.t.Helper()
	v := w.begin(k)
	select {
	case v.asked = <-w.bus.asks:
		v.id = v.asked.RequestID
	case r := <-v.result:
		w.t.Fatalf("refused before policy was asked: %+v", r.Refused)
	}
	return v
}

func (w *world) begin(k Submission) *visit {
	ctx, cancel := context.WithCancel(context.Background())
	v := &visit{w: w, caller: &fakeCaller{started: make(chan *os.File, 1)}, leave: cancel, signals: make(chan signal.Signal), result: make(chan Result, 1)}
	w.t.Cleanup(cancel)
	go func() { v.result <- w.Elevate(ctx, k, v.caller, v.signals) }()
	return v
}

func (v *visit) job(name string) core.Principal {
	return core.Principal{Kind: core.JobRun, Name: name, Run: "run1", Request: v.id}
}

func (v *visit) answer(decision core.Outcome, controls ...core.Control) {
	v.w.t.Helper()
	err := v.w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: decision, Controls: controls,
		Policies: []core.PolicyRef{{ID: "p1", Name: "Tools"}}})
	if err != nil {
		v.w.t.Fatal(err)
	}
}

// event waits for the next event.
func (v *visit) event(name string) wire.Event {
	v.w.t.Helper()
	e := <-v.w.bus.events
	if e.Name != name || e.Context["RequestId"] != string(v.id) {
		v.w.t.Fatalf("event %s for %v, expected %s for %s", e.Name, e.Context["RequestId"], name, v.id)
	}
	return e
}

// run brings the elevation to a running command.
func (v *visit) run() *fakeProcess {
	v.w.t.Helper()
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	if err := v.w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		v.w.t.Fatal(err)
	}
	<-v.caller.started
	return v.w.launch.last().process
}

func (v *visit) refused() *refusal.Refusal {
	v.w.t.Helper()
	r := <-v.result
	if r.Refused == nil {
		v.w.t.Fatalf("it ended with %+v, expected a refusal", r.Exit)
	}
	return r.Refused
}

func (v *visit) state() request.State {
	s, _ := v.w.State(v.id)
	return s
}

// records returns the journal, from the first record of a request on.
func (w *world) records() []journal.Record {
	w.t.Helper()
	var list []journal.Record
	err := journal.Tail(context.Background(), w.path("Audit"), 1000, false, func(_ []byte, r journal.Record) error {
		if r.Request != "" {
			list = append(list, r)
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) recorded() string {
	w.t.Helper()
	var types []string
	for _, r := range w.records() {
		types = append(types, string(r.Type))
	}
	return strings.Join(types, " ")
}

// fakeFiles has the files of a fake machine, of which those in a list are
// Protected, and fails when a test says so.
type fakeFiles struct {
	*fake.Files
	protected map[string]bool
	opens     atomic.Int64
	copies    atomic.Int64
	fault     map[string]error // by method
	onOpen    func(path string)
}

func (f *fakeFiles) LocateProtected(path string) (*os.File, error) {
	h, err := os.Open(path)
	if err == nil && !f.protected[path] && path != f.Dir {
		h.Close()
		return nil, fmt.Errorf("%s: %w", path, core.ErrNotProtected)
	}
	return h, err
}
func (f *fakeFiles) Inspect(h *os.File) (port.FileInfo, error) {
	st, err := os.Stat(h.Name())
	if err != nil {
		return port.FileInfo{}, err
	}
	sum := sha256.Sum256([]byte(h.Name()))
	return port.FileInfo{Path: h.Name(), Inode: uint64(sum[0])<<8 | uint64(sum[1]), Size: st.Size(), Change: st.ModTime(),
		Regular: st.Mode().IsRegular(), Exec: st.Mode().Perm()&0o111 != 0}, f.fault["Inspect"]
}
func (f *fakeFiles) Protected(h *os.File) error {
	if err := f.fault["Protected"]; err != nil {
		return err
	}
	if !f.protected[h.Name()] {
		return fmt.Errorf("%s: %w", h.Name(), core.ErrNotProtected)
	}
	return nil
}
func (f *fakeFiles) Open(h *os.File) (*os.File, error) {
	f.opens.Add(1)
	if f.onOpen != nil {
		f.onOpen(h.Name())
	}
	if err := f.fault["Open"]; err != nil {
		return nil, err
	}
	return f.Files.Open(h)
}
func (f *fakeFiles) Copy(ctx context.Context, src *os.File, dir, base string, reader core.Account) (*os.File, string, error) {
	if err := f.fault["Copy"]; err != nil {
		return nil, "", err
	}
	f.copies.Add(1)
	return f.Files.Copy(ctx, src, dir, base, reader)
}

// fakeLauncher holds children that end when the test says so.
type fakeLauncher struct {
	w          *world
	prepareErr error
	releaseErr error
	onPrepare  func()
	onRelease  func()

	mu   sync.Mutex
	held []*fakeHeld
}

type fakeHeld struct {
	w         *world
	id        core.ProcessID
	spec      port.LaunchSpec
	content   string // of what would be executed, at release
	process   *fakeProcess
	discarded bool
	recorded  string // the journal at release
}

func (f *fakeLauncher) Prepare(_ context.Context, spec port.LaunchSpec) (port.Held, error) {
	if f.onPrepare != nil {
		f.onPrepare()
	}
	if f.prepareErr != nil {
		return nil, f.prepareErr
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &fakeHeld{w: f.w, id: core.ProcessID{PID: 1000 + len(f.held), Start: 7}, spec: spec}
	f.held = append(f.held, h)
	return h, nil
}

func (f *fakeLauncher) last() *fakeHeld {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.held[len(f.held)-1]
}

func (h *fakeHeld) ID() core.ProcessID { return h.id }
func (h *fakeHeld) Group() string      { return fmt.Sprint("group", h.id.PID) }
func (h *fakeHeld) Discard()           { h.discarded = true }
func (h *fakeHeld) Release(context.Context) (port.Process, error) {
	if h.w.launch.onRelease != nil {
		h.w.launch.onRelease()
	}
	h.recorded = h.w.recorded()
	data, err := os.ReadFile(h.spec.Executable.Name())
	h.content = string(data)
	if err = errors.Join(err, h.w.launch.releaseErr); err != nil {
		return nil, err
	}
	h.process = &fakeProcess{id: h.id, tree: h.w.tree, exited: make(chan core.ExitStatus, 1)}
	return h.process, nil
}

// killed stands for Kill of the whole group in a fakeProcess's signals.
const killed signal.Signal = 255

type fakeProcess struct {
	id     core.ProcessID
	tree   *fake.Tree
	exited chan core.ExitStatus
	// stubborn processes ignore hangups; unkillable ones everything.
	stubborn, unkillable bool

	mu      sync.Mutex
	signals []signal.Signal // killed is Kill
}

func (p *fakeProcess) ID() core.ProcessID { return p.id }
func (p *fakeProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case s := <-p.exited:
		return s, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}
func (p *fakeProcess) Signal(sig signal.Signal) error {
	p.got(sig)
	if sig == signal.Hangup && !p.stubborn {
		p.exit(core.ExitStatus{Signal: 1})
	}
	return nil
}
func (p *fakeProcess) Kill() error {
	p.got(killed)
	if !p.unkillable {
		p.exit(core.ExitStatus{Signal: 9})
	}
	return nil
}
func (p *fakeProcess) got(sig signal.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signals = append(p.signals, sig)
}
func (p *fakeProcess) all() []signal.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.signals)
}
func (p *fakeProcess) exit(s core.ExitStatus) {
	select {
	case p.exited <- s:
	default: // it has ended before
	}
}

// fakeTerminals takes files named tty for terminals.
type fakeTerminals struct {
	openErr       error
	master, slave *os.File
	owner         core.Identity
	rows, columns uint16
}

func (f *fakeTerminals) IsTerminal(h *os.File) bool { return filepath.Base(h.Name()) == "tty" }
func (f *fakeTerminals) Open(owner core.Identity) (port.Terminal, error) {
	if f.openErr != nil {
		return nil, f.openErr
	}
	f.owner = owner
	var err error
	f.slave, f.master, err = os.Pipe()
	return f, err
}
func (f *fakeTerminals) Resize(rows, columns uint16) error {
	f.rows, f.columns = rows, columns
	return nil
}
func (f *fakeTerminals) HandOver(send func(...*os.File) error) error { return send(f.master) }
func (f *fakeTerminals) Close() error {
	f.master.Close()
	f.slave.Close()
	return nil
}

type fakeBus struct {
	asks     chan wire.PolicyRequest
	events   chan wire.Event
	askErr   error
	raiseErr error
}

func (b *fakeBus) Ask(_ context.Context, q wire.PolicyRequest) error {
	if b.askErr == nil {
		b.asks <- q
	}
	return b.askErr
}
func (b *fakeBus) Raise(_ context.Context, e wire.Event) error {
	if b.raiseErr == nil {
		b.events <- e
	}
	return b.raiseErr
}

// fakeCaller answers prompts from a list, then never.
type fakeCaller struct {
	mu         sync.Mutex
	answers    []any // a string or an error
	prompts    []string
	started    chan *os.File
	startedErr error
}

func (c *fakeCaller) Prompt(ctx context.Context, text string, timeout time.Duration) (string, error) {
	c.mu.Lock()
	c.prompts = append(c.prompts, text)
	var next any
	if len(c.answers) > 0 {
		next, c.answers = c.answers[0], c.answers[1:]
	}
	c.mu.Unlock()
	switch a := next.(type) {
	case string:
		return a, nil
	case error:
		return "", a
	}
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case <-time.After(timeout):
		return "", context.DeadlineExceeded
	}
}

func (c *fakeCaller) Started(terminal ...*os.File) error {
	var master *os.File
	if len(terminal) > 0 {
		master = terminal[0]
	}
	c.started <- master
	return c.startedErr
}

// isClosedFile reports whether f has been closed.
func isClosedFile(f *os.File) bool {
	_, err := f.Stat()
	return errors.Is(err, fs.ErrClosed)
}

// inBubble runs a test in which time is the test's.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// testLimits are the defaults of docs/settings.md.
func testLimits() request.Limits {
	return request.Limits{Evaluate: 5 * time.Second, Prompt: 120 * time.Second, Launch: 10 * time.Second, MaxOpen: 256, MaxOpenPerUser: 32}
}

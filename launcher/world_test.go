package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/controls"
	"kpm/core/door"
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
	keys    atomic.Int64
	between func() // called between two services
}

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
		Table: controls.Standard(), Controls: control.Bundled(nil, nil, nil, control.Justify{}), Machine: func() string { return "host" }, Limits: testLimits(), Log: log,
	}
	for _, f := range configure {
		f(w, &w.cfg)
	}
	w.starter = start.New(w.starts)
	w.sealer = newSealer(t, w.seals)
	w.cfg.Sealer = w.sealer
	l := New(w.cfg)
	w.Launcher = l
	if w.bus.probed == nil {
		w.bus.onProbe(w.answerProbe)
		w.PolicyListens()
	}
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

// answerProbe is a policy plugin that answers.
func (w *world) answerProbe(id string) {
	if err := w.PolicyProbed(policy, id, ""); err != nil {
		w.t.Error(err)
	}
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
		Key: w.key(), Env: []string{"TERM=xterm", "LD_PRELOAD=/tmp/x"},
	}
	k.Streams = port.Streams{Input: w.handle(os.DevNull), Output: w.handle(os.DevNull), Error: w.handle(os.DevNull)}
	if strings.Contains(command, "/") {
		k.Executable = w.handle(command)
	}
	return k
}

// key is that of the next keepersudo.
func (w *world) key() (k door.Key) {
	copy(k[:], fmt.Sprint(w.keys.Add(1)))
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
	signals chan signal.Sent
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

// elevateSoon is elevate once the end of an earlier command has been noticed.
func (w *world) elevateSoon(k Submission) *visit {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); w.running.Taken() >= int64(w.cfg.Limits.MaxRunningPerUser); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("the end of a command was never noticed")
		}
	}
	return w.elevate(k)
}

func (w *world) begin(k Submission) *visit {
	ctx, cancel := context.WithCancel(context.Background())
	v := &visit{w: w, caller: &fakeCaller{started: make(chan *os.File, 1), hears: make(chan string, 16)}, leave: cancel, signals: make(chan signal.Sent), result: make(chan Result, 1)}
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

// readAll returns what the files of a directory hold.
func readAll(dir string) (string, error) {
	var all strings.Builder
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, file := range files {
		data, readErr := os.ReadFile(file)
		err = errors.Join(err, readErr)
		all.Write(data)
	}
	return all.String(), err
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
	return request.Limits{Evaluate: 5 * time.Second, Prompt: 120 * time.Second, Launch: 10 * time.Second, MaxOpen: 256, MaxOpenPerUser: 32, MaxRunning: 4096, MaxRunningPerUser: 1024}
}

package execution

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kernel is an operating system whose programs are stopped.
type kernel struct {
	next     chan port.Execution
	done     chan struct{}
	programs map[uint64]port.Program // by inode
	who      map[int]port.Executor   // by process
	slow     map[uint64]bool         // files that are never read to their end

	mu      sync.Mutex
	closed  bool
	answers map[int]bool // by token
	waits   map[int]chan struct{}
	kept    int
	ignored []uint64
	recalls int
	watched bool
	alive   time.Time
}

func newKernel() *kernel {
	return &kernel{
		next: make(chan port.Execution), done: make(chan struct{}), programs: map[uint64]port.Program{}, who: map[int]port.Executor{}, slow: map[uint64]bool{},
		answers: map[int]bool{}, waits: map[int]chan struct{}{},
	}
}

func (k *kernel) Watch(on bool, _ []string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.watched = on
	return nil
}

func (k *kernel) Next() (port.Execution, error) {
	select {
	case e := <-k.next:
		return e, nil
	case <-k.done:
		return port.Execution{}, os.ErrClosed
	}
}

func (k *kernel) Executor(e port.Execution, group bool) (port.Executor, error) {
	who, ok := k.who[e.Process]
	if !ok {
		return who, os.ErrNotExist
	}
	if !group {
		who.Group = ""
	}
	return who, nil
}

func (k *kernel) Answer(e port.Execution, allow bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, twice := k.answers[e.Token]; twice {
		return errors.New("answered twice")
	}
	k.answers[e.Token] = allow
	close(k.waits[e.Token])
	return nil
}

func (k *kernel) Ignore(e port.Execution) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ignored = append(k.ignored, e.File.Inode)
	return nil
}

func (k *kernel) Recall() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ignored = nil
	k.recalls++
	return nil
}

func (k *kernel) Keep(e port.Execution) (port.Execution, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept++
	return e, nil
}

func (k *kernel) Drop(port.Execution) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept--
}

func (k *kernel) Program(kept port.Execution, interpreter bool) (port.Program, error) {
	if k.slow[kept.File.Inode] {
		<-k.done
	}
	k.mu.Lock()
	p := k.programs[kept.File.Inode]
	k.mu.Unlock()
	if !interpreter {
		p.Interpreter, p.Script = port.FileState{}, false
	}
	return p, nil
}

func (k *kernel) Alive(time.Duration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.alive = time.Now()
	return nil
}

func (k *kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		close(k.done)
		for token, wait := range k.waits { // as the kernel does
			if _, answered := k.answers[token]; !answered {
				k.answers[token] = true
				close(wait)
			}
		}
	}
	return nil
}

// execute is a process that becomes a file; it returns whether it might, once that is
// decided.
func (k *kernel) execute(process int, inode uint64) func() bool {
	k.mu.Lock()
	token := len(k.waits) + 1
	wait := make(chan struct{})
	k.waits[token] = wait
	k.mu.Unlock()
	k.next <- port.Execution{Process: process, File: file(inode), Token: token}
	return func() bool {
		<-wait
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.answers[token]
	}
}

func file(inode uint64) port.FileState { return port.FileState{Inode: inode} }

// machine is a Server with a Holder, on a kernel, and a KeeperPolicy.
type machine struct {
	*kernel
	server *Server
	policy func(wire.PolicyRequest) (wire.PolicyResponse, error)

	mu      sync.Mutex
	asked   []wire.PolicyRequest
	told    []Refusal
	records []journal.Record
	holders []error // how each ended
	broken  error   // none can be started
	conn    net.Conn
	work    sync.WaitGroup
}

// Ready implements port.ExecutionControl.
func (m *machine) Ready() error { return m.broken }

// Start implements port.ExecutionControl.
func (m *machine) Start() (io.ReadWriteCloser, error) {
	if m.broken != nil {
		return nil, m.broken
	}
	ours, theirs := net.Pipe()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn = theirs
	m.work.Go(func() {
		err := Serve(theirs, m.kernel)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.holders = append(m.holders, err)
	})
	return ours, nil
}

func (m *machine) consult(_ context.Context, q wire.PolicyRequest) (wire.PolicyResponse, error) {
	m.mu.Lock()
	m.asked = append(m.asked, q)
	m.mu.Unlock()
	return m.policy(q)
}

func (m *machine) questions() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.asked)
}

func (m *machine) record(r journal.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records = append(m.records, r)
	return nil
}

// hear keeps what people are told.
func (m *machine) hear(r Refusal) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.told = append(m.told, r)
}

// heard are the people and programs that people were told of.
func (m *machine) heard() (list []string) {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.told {
		list = append(list, r.Name+" "+r.Path)
	}
	return list
}

// recorded are the causes and outcomes on record.
func (m *machine) recorded() (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.records {
		list = append(list, r.Cause+" "+string(r.Outcome))
	}
	return list
}

// The machine of the tests: alice, a set-user-id program that she runs, root, and an
// elevated command.
const (
	alice, setuid, root, elevated, bob = 1, 2, 3, 4, 5
	group                              = "cgroup:/sys/fs/cgroup/kpm/kpm-A"
)

// Its files.
const (
	plain, denied, held, script, python, loader, tool, copied = 10, 11, 12, 13, 14, 15, 16, 17
)

// within runs a test on a machine on which programs are stopped.
func within(t *testing.T, test func(t *testing.T, m *machine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := newKernel()
		k.who = map[int]port.Executor{
			alice: {User: "1000", Group: "cgroup:/sys/fs/cgroup/user.slice"}, setuid: {User: "1000"}, root: {User: "0", Administrator: true}, bob: {User: "1001"},
			elevated: {User: "0", Administrator: true, Group: group + "/below"},
		}
		k.programs = map[uint64]port.Program{
			plain: {Path: "/usr/bin/plain", Hash: "plain", Interpreter: file(loader)}, denied: {Path: "/usr/bin/denied", Hash: "denied", Interpreter: file(loader)},
			held: {Path: "/usr/bin/held", Hash: "held"}, script: {Path: "/usr/bin/script", Hash: "script", Interpreter: file(python), Script: true},
			python: {Path: "/usr/bin/python", Hash: "python", Interpreter: file(loader)}, loader: {Path: "/lib/ld.so", Hash: "loader"},
			tool: {Path: "/usr/bin/tool", Hash: "tool", Interpreter: file(loader)}, copied: {Path: "/usr/bin/tool", Hash: "tool", Elsewhere: true},
		}
		m := &machine{kernel: k}
		m.policy = byName
		m.server = New(Config{
			Control: m, Consult: m.consult, Append: m.record, Machine: func() string { return "web1" },
			Name: func(id core.UserID) string { return map[core.UserID]string{"1000": "alice"}[id] }, Log: slog.New(slog.DiscardHandler),
			Granted: func(core.UserID, string, uint64, uint64) bool { return false },
			Refused: m.hear,
		})
		ctx, cancel := context.WithCancel(t.Context())
		m.server.Policies("first", true, false)
		m.server.Switch(true, nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			m.server.Run(ctx)
		}()
		synctest.Wait()
		if err := m.server.Ready(); err != nil {
			t.Fatal(err)
		}
		test(t, m)
		cancel()
		<-done
		m.Close()
		m.work.Wait()
		if m.kept != 0 {
			t.Errorf("%d files are still open", m.kept)
		}
	})
}

// byName is a KeeperPolicy: /usr/bin/denied is denied, /usr/bin/held held up, and an
// elevated command may start /usr/bin/tool alone.
func byName(q wire.PolicyRequest) (wire.PolicyResponse, error) {
	a := wire.PolicyResponse{Decision: core.Allow, Unrestricted: q.FilePath == "/usr/bin/plain"}
	by := []core.PolicyRef{{ID: "p", Name: "P"}}
	switch {
	case q.RequestedPath == "/usr/bin/denied":
		a.Decision, a.Policies = core.Deny, by
	case q.RequestedPath == "/usr/bin/held":
		a.Decision, a.Controls, a.Policies = core.Pending, []core.Control{core.ControlApproval}, by
	case q.EventType != wire.EventExecution && q.FilePath != "/usr/bin/tool":
		a.Decision = core.Deny
		if q.Parent != nil {
			a.Policies = by
		}
	}
	return a, nil
}

func wantRecords(t *testing.T, m *machine, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := m.recorded(); !slices.Equal(got, want) {
		t.Errorf("on record: %q, expected %q", got, want)
	}
}

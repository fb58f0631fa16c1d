//go:build linux

package execution

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
	deciding "kpm/launcher/execution"
	"kpm/launcher/journal"
)

// What this test binary is instead, by a variable: keeperexec, something that becomes
// a program, or a program. So the test needs no other file, and runs in a machine that
// has none (vmtests/kernel).
const (
	asHolder  = "GATE_HOLDER"
	asRunner  = "GATE_RUN" // which program
	asProgram = "GATE_PROGRAM"
)

// refusedStatus is the runner's exit status when it may not become the program.
const refusedStatus = 126

func somethingElse() {
	switch {
	case os.Getenv(asHolder) != "":
		if err := Main(deciding.Serve); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	case os.Getenv(asRunner) != "":
		err := syscall.Exec(os.Getenv(asRunner), []string{"program"}, []string{asProgram + "=1"})
		if errors.Is(err, unix.EPERM) {
			os.Exit(refusedStatus)
		}
		fmt.Println(err)
		os.Exit(1)
	case os.Getenv(asProgram) != "":
		os.Exit(0)
	}
}

// holders starts keeperexec processes for a Server, as the service does.
type holders struct {
	mu   sync.Mutex
	last *os.Process
	all  sync.WaitGroup
}

var _ port.ExecutionControl = (*holders)(nil)

// Ready implements port.ExecutionControl.
func (*holders) Ready() error { return Ready() }

// Start implements port.ExecutionControl.
func (h *holders) Start() (io.ReadWriteCloser, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(pair[0], true); err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "holder"), os.NewFile(uintptr(pair[1]), "service")
	defer theirs.Close()
	c := exec.Command("/proc/self/exe")
	c.Env, c.ExtraFiles = []string{asHolder + "=1", "GOMAXPROCS=2"}, []*os.File{theirs}
	if err := c.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	h.mu.Lock()
	h.last = c.Process
	h.mu.Unlock()
	h.all.Go(func() { c.Wait() })
	return ours, nil
}

func (h *holders) process() *os.Process {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// runAs has a user's process become the program, and reports whether it might.
func runAs(t *testing.T, runner, program string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, runner)
	c.Dir, c.Env = "/", []string{asRunner + "=" + program}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == refusedStatus {
		return false
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", program, err, out)
	}
	return true
}

// The service, keeperexec and the kernel together: what policy denies is refused, what
// it allows goes on, neither is asked about twice, and when keeperexec is stopped the
// machine goes on. A decision that takes longer than a second is none, so on a slow
// machine a refusal may come at a later attempt.
func TestHolder(t *testing.T) {
	dir := mountTmpfs(t)
	must(t, os.Chmod(filepath.Dir(dir), 0o755)) // another user comes here
	self, err := os.Executable()
	must(t, err)
	place := func(name string) string { return install(t, self, filepath.Join(dir, name)) }
	runner, yes, no := place("runner"), place("yes"), place("no")

	var asked sync.Map // how often, by path
	h := &holders{}
	s := deciding.New(deciding.Config{
		Control: h, Append: func(journal.Record) error { return nil }, Log: slog.New(slog.DiscardHandler),
		Name: func(core.UserID) string { return "" }, Machine: func() string { return "" },
		Consult: func(_ context.Context, q wire.PolicyRequest) (wire.PolicyResponse, error) {
			count, _ := asked.LoadOrStore(q.FilePath, &atomic.Int64{})
			count.(*atomic.Int64).Add(1)
			if q.FilePath == no {
				return wire.PolicyResponse{Decision: core.Deny}, nil
			}
			return wire.PolicyResponse{Decision: core.Allow}, nil
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		h.all.Wait()
	})
	s.Policies("policies", true, false)
	s.Switch(true, []string{dir})

	questions := func(path string) int64 {
		count, ok := asked.Load(path)
		if !ok {
			return 0
		}
		return count.(*atomic.Int64).Load()
	}
	eventually := func(what string, holds func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never: %s", what)
			}
		}
	}
	// known runs a program until that was decided without a question.
	known := func(path string, want bool) bool {
		before := questions(path)
		return before > 0 && runAs(t, runner, path) == want && questions(path) == before
	}
	eventually("what is denied is refused", func() bool { return !runAs(t, runner, no) })
	eventually("and again, without a question", func() bool { return known(no, false) })
	eventually("what is allowed is asked about", func() bool { return runAs(t, runner, yes) && questions(yes) > 0 })
	eventually("and goes on without a question", func() bool { return known(yes, true) })

	var stopped *os.Process
	eventually("keeperexec is stopped", func() bool {
		stopped = h.process()
		return stopped.Signal(unix.SIGSTOP) == nil
	})
	runAs(t, runner, no) // it comes to an end: the kernel ends what is stopped
	eventually("another process refuses it", func() bool { return h.process() != stopped && !runAs(t, runner, no) })
}

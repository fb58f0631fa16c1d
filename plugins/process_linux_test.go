package plugins

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/settings"
)

// execStarter starts real processes, each in a process group of its own, and
// plays the broker: a process is ready as soon as it runs.
type execStarter struct {
	o     *Orchestrator
	mu    sync.Mutex
	procs []*execProcess
}

type execProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
	state *os.ProcessState
}

func (s *execStarter) StartService(_ context.Context, spec core.ServiceSpec) (port.Process, error) {
	cmd := &exec.Cmd{
		Path: spec.Path, Args: spec.Argv, Env: spec.Env, Dir: spec.Dir, Stdout: spec.Stdout, Stderr: spec.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	p, err := s.begin(cmd)
	if err != nil {
		return nil, err
	}
	s.o.Connected(spec.As)
	s.o.Subscribed(spec.As, spec.As.Name)
	return p, nil
}

// begin starts cmd and takes it down as the last: who has heard of it from cmd itself finds
// it there.
func (s *execStarter) begin(cmd *exec.Cmd) (*execProcess, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &execProcess{cmd: cmd, ended: make(chan struct{})}
	go func() {
		p.state, _ = cmd.Process.Wait()
		close(p.ended)
	}()
	s.procs = append(s.procs, p)
	return p, nil
}

func (s *execStarter) StartInSession(context.Context, core.ServiceSpec, core.Session) (port.Process, error) {
	return nil, errors.ErrUnsupported
}

func (s *execStarter) last() *execProcess {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.procs[len(s.procs)-1]
}

func (s *execStarter) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.procs)
}

func (p *execProcess) ID() core.ProcessID { return core.ProcessID{PID: p.cmd.Process.Pid} }

func (p *execProcess) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

func (p *execProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-p.ended:
		w := p.state.Sys().(syscall.WaitStatus)
		if w.Signaled() {
			return core.ExitStatus{Signal: int(w.Signal())}, nil
		}
		return core.ExitStatus{Code: w.ExitStatus()}, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

func (p *execProcess) Signal(sig signal.Signal) error {
	return syscall.Kill(-p.cmd.Process.Pid, map[signal.Signal]syscall.Signal{signal.Terminate: syscall.SIGTERM, signal.Kill: syscall.SIGKILL}[sig])
}
func (p *execProcess) Kill() error { return syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) }

// newReal makes an agent whose plugin A is this shell script.
func newReal(t testing.TB, script string) (*Orchestrator, *execStarter, settings.Layout) {
	t.Helper()
	layout := settings.At(t.TempDir(), "")
	writeFile(t, filepath.Join(layout.Plugins(), "A.json"), manifest("A", supervised))
	writeFile(t, filepath.Join(layout.Plugins(), "bin/A/A"), "#!/bin/sh\n"+script)
	s := &execStarter{}
	s.o = newOrchestrator(t, layout, s)
	t.Cleanup(func() {
		if err := s.o.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.o, s, layout
}

// until waits for a fact about real processes.
func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !fact(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func alive(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(data), ") Z ")
}

func TestRealPluginIsRestartedAndItsChildrenEndWithIt(t *testing.T) {
	o, s, layout := newReal(t, `sleep 1000 & echo $! > child; exec sleep 1000`)
	if err := o.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	var child int
	until(t, "the plugin has a child", func() bool {
		data, err := os.ReadFile(filepath.Join(layout.Root(), "child"))
		child, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil && child > 0 && s.count() > 0
	})
	first := s.last().cmd.Process.Pid
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the plugin is restarted", func() bool {
		st := o.List()[0]
		return st.Status == view.Healthy && st.ProcessID != first && restartsOf(o, "A") == 1
	})
	until(t, "its child is gone", func() bool { return !alive(child) })
	if err := o.StopPlugin(context.Background(), "A"); err != nil {
		t.Fatal(err)
	}
	if pid := s.last().cmd.Process.Pid; alive(pid) {
		t.Errorf("process %d is still there after the stop", pid)
	}
}

func TestRealPluginThatCrashesSaysWhy(t *testing.T) {
	o, s, _ := newReal(t, `echo "to stdout"; echo "no such database" >&2; exit 7`)
	if err := o.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	until(t, "the plugin is given up", func() bool { return o.List()[0].Status == view.Failed })
	want := "it exited with status 7; its last output: to stdout | no such database"
	if got := o.List()[0].Detail; !strings.Contains(got, want) {
		t.Errorf("got %s\nwant ... %s", got, want)
	}
	if got := s.count(); got != 6 {
		t.Errorf("%d processes, want the first and five restarts", got)
	}
}

// Attack: a plugin leaves a process outside its group that keeps its output
// open. It must not hold up the restart.
func TestRealPluginWhoseOutputStaysOpenIsRestarted(t *testing.T) {
	o, s, layout := newReal(t, `setsid sh -c 'echo $$ > escaped; exec sleep 1000' & while [ ! -s escaped ]; do :; done; exec sleep 1000`)
	if err := o.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	var escaped int
	until(t, "a child has left the group", func() bool {
		data, err := os.ReadFile(filepath.Join(layout.Root(), "escaped"))
		escaped, _ = strconv.Atoi(strings.TrimSpace(string(data)))
		return err == nil && escaped > 0
	})
	t.Cleanup(func() { _ = syscall.Kill(escaped, syscall.SIGKILL) })
	first := s.last()
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	until(t, "the plugin is restarted", func() bool { return s.count() == 2 && o.List()[0].Status == view.Healthy })
}

func TestRealPluginHasOnlyTheDocumentedEnvironment(t *testing.T) {
	t.Setenv("LD_PRELOAD_OF_A_USER", "x")
	o, _, layout := newReal(t, `env > seen.tmp && mv seen.tmp seen; exec sleep 1000`)
	if err := o.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	var seen []string
	until(t, "the plugin has written its environment", func() bool {
		data, err := os.ReadFile(filepath.Join(layout.Root(), "seen"))
		seen = strings.Fields(string(data))
		return !errors.Is(err, os.ErrNotExist)
	})
	seen = slices.DeleteFunc(seen, func(kv string) bool { // of the shell's own making
		return strings.HasPrefix(kv, "PWD=") || strings.HasPrefix(kv, "_=") || strings.HasPrefix(kv, "SHLVL=") || strings.HasPrefix(kv, "OLDPWD=")
	})
	want := layout.Environment([]string{"PATH=" + core.Linux.PathVariable()}, "https://127.0.0.1:6889")
	slices.Sort(seen)
	slices.Sort(want)
	if !slices.Equal(seen, want) {
		t.Errorf("got %q\nwant %q", seen, want)
	}
}

// BenchmarkRestart is from the kill of a plugin to its next process.
func BenchmarkRestart(b *testing.B) {
	o, s, _ := newReal(b, "exec sleep 1000")
	o.cfg.Monitoring = settings.Monitoring{BreakerLimit: 1 << 30, BreakerWindow: time.Hour}
	if err := o.Start(context.Background()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n := s.count()
		if n > 0 {
			if err := s.last().Kill(); err != nil {
				b.Fatal(err)
			}
		}
		if err := o.await(context.Background(), func() bool { return s.count() > n }); err != nil {
			b.Fatal(err)
		}
	}
}

// Killed a thousand times, each time started again: no zombie, and no descriptor
// more than before.
func TestKilledAThousandTimes(t *testing.T) {
	o, s, _ := newReal(t, "exec sleep 1000")
	m := o.monitoring()
	m.BreakerLimit, m.MaxBackoff = 1<<20, time.Microsecond
	o.SetMonitoring(m)
	if err := o.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := 0
	for i := range 1000 {
		until(t, "it runs", func() bool { return s.count() == i+1 && status(t, o, "A").ProcessID == s.last().ID().PID })
		if i == 10 {
			before = open()
		}
		if err := s.last().Kill(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it runs", func() bool { return s.count() == 1001 && status(t, o, "A").Status == view.Healthy })
	if now := open(); now > before {
		t.Errorf("%d descriptors are open, %d were", now, before)
	}
	if h, err := o.Health("A"); err != nil || h.Restarts != 1000 {
		t.Errorf("%+v, %v", h, err)
	}
	for _, p := range s.procs[:1000] {
		if _, err := os.Stat("/proc/" + strconv.Itoa(p.ID().PID)); err == nil && !alive(p.ID().PID) {
			t.Errorf("process %d is a zombie", p.ID().PID)
		}
	}
}

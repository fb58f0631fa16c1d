//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/execution"
)

// ExecutionControl starts keeperexec, which stops programs before they run.
type ExecutionControl struct {
	// AgentRoot is where keeperexec is, and what says that it was switched off.
	AgentRoot string
}

var _ port.ExecutionControl = ExecutionControl{}

func (g ExecutionControl) program() string { return filepath.Join(g.AgentRoot, "keeperexec") }

// off is a file that is there after Interception.Disable: no service starts keeperexec
// as long as it is, whatever its settings say.
func (g ExecutionControl) off() string {
	return filepath.Join(g.AgentRoot, "State", "interception-exec.off")
}

// Ready implements port.ExecutionControl.
func (g ExecutionControl) Ready() error {
	switch _, err := os.Lstat(g.off()); {
	case err == nil:
		return fmt.Errorf("%w: KeeperAdminCLI interception enable exec undoes that", core.ErrSwitchedOff)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w", g.off(), err) // it may be there
	}
	return execution.Ready()
}

// Start implements port.ExecutionControl. The process inherits the connection and
// nothing else of the service's; it ends with the connection.
func (g ExecutionControl) Start() (io.ReadWriteCloser, error) {
	if err := g.Ready(); err != nil {
		return nil, err
	}
	// Its errors are in the log of the service's own standard error.
	pid, ours, err := startHelper(g.program(), []string{"GOMAXPROCS=2"}, os.Stderr)
	if err != nil {
		return nil, err
	}
	p := &executionProcess{File: ours, pid: pid}
	p.ended.Go(p.reap)
	return p, nil
}

// executionProcess is a keeperexec and the service's end of its connection.
type executionProcess struct {
	*os.File
	pid   int
	ended sync.WaitGroup

	mu     sync.Mutex
	reaped bool
}

// Close ends the process, stopped or not, and returns when it has ended: then the
// kernel has let go on what waited for it.
func (p *executionProcess) Close() error {
	p.mu.Lock()
	if !p.reaped { // else the number may be another process's
		unix.Kill(p.pid, unix.SIGKILL)
	}
	p.mu.Unlock()
	err := p.File.Close()
	p.ended.Wait()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func (p *executionProcess) reap() {
	var info unix.Siginfo
	for unix.Waitid(unix.P_PID, p.pid, &info, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	unix.Wait4(p.pid, nil, 0, nil)
	p.reaped = true
}

// enable lets services start keeperexec again, if this machine can have one.
func (g ExecutionControl) enable() error {
	if err := execution.Ready(); err != nil {
		return err
	}
	if err := os.Remove(g.off()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// disable has no service start keeperexec, and ends every one that runs. It asks
// nobody: the kernel lets go on what a process waits for that is killed.
func (g ExecutionControl) disable(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(g.off()), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(g.off(), nil, 0o600); err != nil {
		return err
	}
	for range 500 { // each 10 ms: one may wait for the kernel
		running := g.running()
		if len(running) == 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		for _, id := range running {
			killExactly(id)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("end %s: %w", g.program(), errStillThere)
}

// running are the processes that are a keeperexec of this agent, and root's: others
// cannot have it run as root.
func (g ExecutionControl) running() (list []core.ProcessID) {
	for _, pid := range allPids() {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err != nil || strings.TrimSuffix(name, " (deleted)") != g.program() {
			continue
		}
		if info, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
			continue
		}
		if s, ok := readStat(pid); ok {
			list = append(list, core.ProcessID{PID: pid, Start: s.start})
		}
	}
	return list
}

package fake

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
)

// Program is what a program does. ctx ends when the process is told to end. The
// streams are the caller's, and open until the process has ended only if they
// came through the door.
type Program func(ctx context.Context, p *Process) core.ExitStatus

// Launcher runs programs as goroutines. All processes have the pid of the test,
// which is what a client library finds out about itself; their start stamps
// tell them apart.
type Launcher struct {
	tree      *Tree
	transport *Transport

	mu       sync.Mutex
	programs map[string]Program // by what is in their file
	started  uint64
}

var _ port.Launcher = (*Launcher)(nil)

// NewLauncher returns a launcher that knows no program.
func NewLauncher(tree *Tree, transport *Transport) *Launcher {
	return &Launcher{tree: tree, transport: transport, programs: map[string]Program{}}
}

// Install makes path a file that stands for program: what has its bytes, under
// whatever name, does what program does.
func (l *Launcher) Install(path string, program Program) error {
	content := "program " + path
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	l.mu.Lock()
	l.programs[content] = program
	l.mu.Unlock()
	return os.WriteFile(path, []byte(content), 0o755)
}

// Prepare implements port.Launcher.
func (l *Launcher) Prepare(_ context.Context, spec port.LaunchSpec) (port.Held, error) {
	return &held{launcher: l, process: &Process{Spec: spec, id: l.newID(), launcher: l, ended: make(chan struct{})}}, nil
}

// Resume implements port.Launcher: no program outlives the test.
func (l *Launcher) Resume(core.ProcessID, string) (port.Process, error) {
	return nil, fmt.Errorf("resume: %w", errors.ErrUnsupported)
}

// Forget implements port.Launcher.
func (l *Launcher) Forget(core.ProcessID) {}

// Client is a peer that the service has not started: one more process of this
// user's.
func (l *Launcher) Client(user core.UserID) core.Peer { return peer(user, l.newID()) }

func peer(user core.UserID, id core.ProcessID) core.Peer {
	return core.Peer{User: user, Administrator: user == Administrator, Processes: []core.ProcessID{id}, SameIdentity: true}
}

// newID names a process that nobody has been.
func (l *Launcher) newID() core.ProcessID {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started++
	return core.ProcessID{PID: os.Getpid(), Start: 1000 + l.started}
}

type held struct {
	launcher *Launcher
	process  *Process
}

var _ port.Held = (*held)(nil)

// ID implements port.Held.
func (h *held) ID() core.ProcessID { return h.process.id }

// Group implements port.Held.
func (h *held) Group() string { return fmt.Sprint("group ", h.process.id.Start) }

// Discard implements port.Held.
func (h *held) Discard() { h.launcher.tree.Die(h.process.id) }

// Release implements port.Held. What runs is what is in the file now.
func (h *held) Release(context.Context) (port.Process, error) {
	path := h.process.Spec.Executable.Name()
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	h.launcher.mu.Lock()
	program := h.launcher.programs[string(content)]
	h.launcher.mu.Unlock()
	if program == nil {
		return nil, fmt.Errorf("%s is no program: %w", path, fs.ErrInvalid)
	}
	var ctx context.Context
	ctx, h.process.end = context.WithCancel(context.Background())
	go h.process.run(ctx, program)
	return h.process, nil
}

// Process is a program that runs.
type Process struct {
	Spec port.LaunchSpec

	id       core.ProcessID
	launcher *Launcher
	end      context.CancelFunc
	ended    chan struct{}
	status   core.ExitStatus // to be read after ended
}

var _ port.Process = (*Process)(nil)

func (p *Process) run(ctx context.Context, program Program) {
	defer p.end()
	p.status = program(ctx, p)
	p.launcher.tree.Die(p.id)
	close(p.ended)
}

// Getenv returns what the process finds in its environment.
func (p *Process) Getenv(name string) string {
	for _, entry := range p.Spec.Env {
		if value, ok := strings.CutPrefix(entry, name+"="); ok {
			return value
		}
	}
	return ""
}

// Dial connects to a local socket, as this process.
func (p *Process) Dial(path string) (net.Conn, error) {
	return p.launcher.transport.Connect(path, peer(p.Spec.As.Account.User, p.id))
}

// ID implements port.Process.
func (p *Process) ID() core.ProcessID { return p.id }

// End implements port.Process.
func (p *Process) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

// Wait implements port.Process.
func (p *Process) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-p.ended:
		return p.status, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

// Signal implements port.Process: whatever ends a program by default ends ctx.
func (p *Process) Signal(s signal.Signal) error {
	select {
	case <-p.ended:
		return os.ErrProcessDone
	default:
	}
	switch s {
	case signal.Hangup, signal.Interrupt, signal.Quit, signal.Terminate, signal.Kill:
		p.end()
	}
	return nil
}

// Kill implements port.Process.
func (p *Process) Kill() error { return p.Signal(signal.Kill) }

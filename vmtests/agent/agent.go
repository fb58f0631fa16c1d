//go:build linux

// Package agent starts staged agents for tests, the demo and benchmarks: a
// root of its own, free ports, the real executables.
//
// It drives the product from outside, as an administrator would, and imports
// none of its packages.
package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"kpm/vmtests/apart"
)

// patience is how long a service may take to be ready, or to stop, on a machine that
// is busy with other things.
const patience = 2 * time.Minute

// Agent is an agent root and, while it runs, its service.
type Agent struct {
	Root string
	Env  []string // of the service, beside its PATH

	service *exec.Cmd
	exited  chan struct{}
	exit    error
	stderr  lockedBuffer
}

// Ports is run/ports.json.
type Ports struct {
	HTTP      int    `json:"http"`
	HTTPS     int    `json:"https"`
	MQTT      int    `json:"mqtt"`
	Door      string `json:"door"`
	MQTTLocal string `json:"mqttLocal"`
	PID       int    `json:"pid"`
	StartTime string `json:"startTime"`
}

// New lays out a root below dir from the staged agent, with every port free to
// choose. Policies maps file names in Policies/ to their contents.
func New(staged, dir string, policies map[string]string) (*Agent, error) {
	root := filepath.Join(dir, "agent")
	if err := os.CopyFS(root, os.DirFS(staged)); err != nil {
		return nil, fmt.Errorf("agent: copy %s: %w", staged, err)
	}
	for _, state := range []string{"run", "State", "Audit", "Policies"} {
		if err := os.RemoveAll(filepath.Join(root, state)); err != nil {
			return nil, fmt.Errorf("agent: %w", err)
		}
	}
	a := At(root)
	files := map[string]string{"appsettings.json": `{
  "Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0},
  "MqttBrokerSettings": {"Port": 0}
}
`}
	for name, text := range policies {
		files[filepath.Join("Policies", name)] = text
	}
	for name, text := range files {
		if err := a.Write(name, text); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// At is the agent whose root exists already.
func At(root string) *Agent { return &Agent{Root: root} }

// Write replaces a file of the root, as a deployment tool would: whole, by
// rename, readable by everyone and writable by root.
func (a *Agent) Write(name, text string) error {
	path := filepath.Join(a.Root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	next := path + ".next"
	if err := os.WriteFile(next, []byte(text), 0o644); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	if err := os.Rename(next, path); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}

// Start runs the service and returns when it has said that it is ready.
func (a *Agent) Start(ctx context.Context) (Ports, error) {
	if err := a.Launch(); err != nil {
		return Ports{}, err
	}
	ports, err := a.Ready(ctx)
	if err != nil {
		return Ports{}, errors.Join(err, a.Kill())
	}
	return ports, nil
}

// Launch starts the service without waiting for it.
func (a *Agent) Launch() error {
	a.service = exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "run", "--root", a.Root)
	a.service.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, a.Env...)
	a.service.Dir = "/"
	a.service.Stdout, a.service.Stderr = &a.stderr, &a.stderr
	if err := a.service.Start(); err != nil {
		return fmt.Errorf("agent: start: %w", err)
	}
	service, exited := a.service, make(chan struct{})
	a.exited = exited
	go func() {
		a.exit = service.Wait()
		close(exited)
	}()
	return nil
}

// Ready waits until run/ports.json names the running service.
func (a *Agent) Ready(ctx context.Context) (Ports, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if ports, err := a.Ports(); err == nil && ports.PID == a.service.Process.Pid {
			return ports, nil
		}
		select {
		case <-a.exited:
			return Ports{}, fmt.Errorf("agent: the service ended: %w\n%s", a.exit, a.Log())
		case <-ctx.Done():
			return Ports{}, fmt.Errorf("agent: not ready: %w\n%s", ctx.Err(), a.Log())
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// Ports reads run/ports.json.
func (a *Agent) Ports() (Ports, error) {
	var ports Ports
	data, err := os.ReadFile(filepath.Join(a.Root, "run", "ports.json"))
	if err != nil {
		return ports, fmt.Errorf("agent: %w", err)
	}
	if err := json.Unmarshal(data, &ports); err != nil {
		return ports, fmt.Errorf("agent: ports.json: %w", err)
	}
	return ports, nil
}

// PID is the service's process id.
func (a *Agent) PID() int { return a.service.Process.Pid }

// Log is what the service has printed so far.
func (a *Agent) Log() string { return a.stderr.String() }

// Exited is closed when the service has ended.
func (a *Agent) Exited() <-chan struct{} { return a.exited }

// Stop asks the service to stop and waits until it has.
func (a *Agent) Stop() error { return a.end(syscall.SIGTERM) }

// Kill ends the service as a crash would.
func (a *Agent) Kill() error { return a.end(syscall.SIGKILL) }

func (a *Agent) end(signal syscall.Signal) error {
	if a.service == nil {
		return nil
	}
	if err := a.service.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("agent: stop: %w", err)
	}
	select {
	case <-a.exited:
	case <-time.After(patience):
		_ = a.service.Process.Kill()
		<-a.exited
		return fmt.Errorf("agent: did not stop within %s\n%s", patience, a.Log())
	}
	return nil
}

// Sudo returns keepersudo with args, to be run as the user uid with no groups but
// its own number. Where tests have an /etc of their own (package apart), the user
// gets an account first.
func (a *Agent) Sudo(ctx context.Context, uid uint32, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(a.Root, "keepersudo"), args...)
	cmd.Env = []string{"KEEPER_AGENT_ROOT=" + a.Root, "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TERM=dumb"}
	cmd.Dir = "/"
	if err := apart.Person(uid); err != nil {
		cmd.Err = err // Start reports it
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: uid, Gid: uid},
		Setsid:     true,
	}
	return cmd
}

// Admin runs KeeperAdminCLI as root and returns what it printed.
func (a *Agent) Admin(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(a.Root, "KeeperAdminCLI"), append(args, "--root", a.Root)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("agent: KeeperAdminCLI %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// lockedBuffer collects output that another goroutine reads meanwhile.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

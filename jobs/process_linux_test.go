package jobs

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/jobs/task"
)

// execStarter starts real programs, each in a process group of its own.
type execStarter struct{ task.Starter }

type execProcess struct {
	cmd   *exec.Cmd
	ended chan struct{}
	exit  core.ExitStatus
}

func (execStarter) StartService(_ context.Context, s core.ServiceSpec) (port.Process, error) {
	cmd := &exec.Cmd{
		Path: s.Path, Args: s.Argv, Env: s.Env, Dir: s.Dir, Stdout: s.Stdout, Stderr: s.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &execProcess{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		state, err := cmd.Process.Wait()
		if err != nil {
			return
		}
		if w := state.Sys().(syscall.WaitStatus); w.Signaled() {
			p.exit.Signal = int(w.Signal())
		} else {
			p.exit.Code = w.ExitStatus()
		}
	}()
	return p, nil
}

func (p *execProcess) ID() core.ProcessID                               { return core.ProcessID{PID: p.cmd.Process.Pid} }
func (p *execProcess) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

func (p *execProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-p.ended:
		return p.exit, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}
func (p *execProcess) Signal(sig signal.Signal) error {
	return syscall.Kill(-p.cmd.Process.Pid, map[signal.Signal]syscall.Signal{signal.Terminate: syscall.SIGTERM, signal.Kill: syscall.SIGKILL}[sig])
}
func (p *execProcess) Kill() error { return p.Signal(signal.Kill) }

func TestRealPrograms(t *testing.T) {
	for _, tc := range []struct {
		name, script, fields string
		check                func(error) bool
	}{
		{"its output becomes context", `printf '{"Seen": "%s"}' "$1"`, `"arguments": "--f={Where}", "MergeStdoutJsonIntoContext": true, "OnSuccess": "expect"`,
			func(err error) bool { return err == nil }},
		{"its failure is told", `echo "cannot read the list" >&2; exit 4`, `"timeoutSeconds": 60`,
			func(err error) bool {
				return err != nil && strings.Contains(err.Error(), "it exited with status 4: cannot read the list")
			}},
		{"it and its children end in time", `sleep 1000 & sleep 1000`, `"timeoutSeconds": 1`,
			func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		// Attack: output without end fills the service's memory.
		{"endless output ends it", `exec yes`, `"timeoutSeconds": 60, "MergeStdoutJsonIntoContext": true`,
			func(err error) bool {
				return err != nil && strings.Contains(err.Error(), "it wrote more than 1 MiB to stdout")
			}},
		{"output that nobody reads is not kept", `head -c 100000000 /dev/zero; printf '\377\376'`, `"timeoutSeconds": 60, "OnSuccess": "stop"`,
			func(err error) bool { return err == nil }},
		{"it ignores signals", `trap '' TERM HUP INT; while :; do sleep 1000; done`, `"timeoutSeconds": 1`,
			func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		{"it reads what nobody writes", `cat`, `"timeoutSeconds": 60, "OnSuccess": "stop"`,
			func(err error) bool { return err == nil }},
		{"a process left behind does not hold the job up", `sleep 1000 & echo '{}'`, `"MergeStdoutJsonIntoContext": true, "OnSuccess": "stop"`,
			func(err error) bool { return err == nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "tool", "command": "script", `+tc.fields+`}, {"id": "expect", "command": "see", "arguments": "{Seen}"}`)})
			writeFile(t, h.cfg.Layout.JobBin("script", ""), "#!/bin/sh\n"+tc.script+"\n")
			h.programs = execStarter{}
			h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
				if args := params["arguments"].([]string); args[0] != "--f=/a b" {
					t.Errorf("saw %q", args)
				}
				return nil, nil
			}
			h.reload()
			if err := h.runNow("j", map[string]any{"Where": "/a b"}); !tc.check(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

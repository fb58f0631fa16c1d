package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// StartService starts a plugin or job task as the service account. The program
// and everything on the way to it must be Protected; it is registered before
// its first instruction. The caller waits for the process it gets. Errors name
// the file and what is wrong with it.
func (l *Launcher) StartService(ctx context.Context, s core.ServiceSpec) (port.Process, error) {
	process, err := l.startService(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("launcher: start %s: %w", s.Path, err)
	}
	return process, nil
}

func (l *Launcher) startService(ctx context.Context, s core.ServiceSpec) (port.Process, error) {
	account, err := l.cfg.Accounts.ByID(l.cfg.Facts.ServiceAccount)
	if err != nil {
		return nil, err
	}
	spec := port.LaunchSpec{
		As: core.Identity{RunAs: core.AsService, Account: account}, Argv: s.Argv, Env: s.Env,
		Streams: port.Streams{Input: s.Stdin, Output: s.Stdout, Error: s.Stderr},
	}
	if spec.Executable, err = l.cfg.Files.LocateProtected(s.Path); err != nil {
		return nil, err
	}
	defer spec.Executable.Close()
	if err := l.admit(ctx, s.As, spec.Executable); err != nil {
		return nil, err
	}
	if spec.Script, err = l.serviceScript(spec.Executable); err != nil {
		return nil, err
	}
	if spec.Dir, err = l.cfg.Files.LocateProtected(s.Dir); err != nil {
		return nil, err
	}
	defer spec.Dir.Close()
	held, err := l.cfg.Launcher.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	l.cfg.Registry.Register(Entry{Root: held.ID(), Group: held.Group(), As: s.As, User: account.User})
	if err := l.children().add(held.ID(), held.Group()); err != nil {
		// On a full disk the policy plugin must start all the same.
		l.cfg.Log.Error("a crash of the service would leave this process behind", "program", s.Path, "process", held.ID(), "error", err)
	}
	process, err := held.Release(ctx)
	if err != nil {
		l.cfg.Registry.Remove(held.ID())
		return nil, errors.Join(err, l.children().remove(held.ID()))
	}
	return serviceProcess{process, l}, nil
}

// admit judges the very object that will be executed. It is Protected: nobody
// but root can change it between here and there.
func (l *Launcher) admit(ctx context.Context, as core.Principal, handle *os.File) error {
	if l.cfg.Gate == nil {
		return nil
	}
	file, err := l.cfg.Files.Open(handle)
	if err != nil {
		return err
	}
	defer file.Close()
	return l.cfg.Gate.Admit(ctx, as, file)
}

func (l *Launcher) children() children { return children{l.cfg.ChildrenDir} }

// serviceScript returns the path of a program that is a script, after the same
// check of its interpreter as for an elevation, and "" for a binary.
func (l *Launcher) serviceScript(handle *os.File) (string, error) {
	info, err := l.cfg.Files.Inspect(handle)
	if err != nil {
		return "", err
	}
	if !info.Regular || !info.Exec {
		return "", fmt.Errorf("it is not an executable file: %w", core.ErrNotRegular)
	}
	head, err := l.headOf(handle)
	if err != nil {
		return "", err
	}
	interpreter, err := shebang(head)
	if err != nil || interpreter == "" {
		return "", err
	}
	if err := l.inspectInterpreter(interpreter); err != nil {
		return "", fmt.Errorf("its interpreter: %w", err)
	}
	return info.Path, nil
}

// serviceProcess tells the launcher when its process has ended.
type serviceProcess struct {
	port.Process
	launcher *Launcher
}

// Wait implements port.Process.
func (p serviceProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	status, err := p.Process.Wait(ctx)
	if err == nil {
		p.launcher.cfg.Registry.End(p.ID())
		if err := p.launcher.children().remove(p.ID()); err != nil {
			p.launcher.cfg.Log.Error("an ended process is remembered as running", "process", p.ID(), "error", err)
		}
	}
	return status, err
}

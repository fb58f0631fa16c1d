// Package start starts the service's own programs, plugins and job tasks, and
// knows every process that the service has launched: who a peer is comes from
// here. Elevated commands are started by package launcher, which registers them.
//
// It does not decide what is started, and does not restart anything.
package start

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/seal"
)

// Admission says whether a program may become part of the service.
type Admission interface {
	// Admit returns nil, or what the program behind f, open for reading,
	// lacks to act as a plugin or task.
	Admit(ctx context.Context, as core.Principal, f *os.File) error
}

// Config is what a Starter works with. Every field but Admission is required.
type Config struct {
	Facts    port.Facts
	Files    port.Files
	Accounts port.Accounts
	Sessions port.Sessions
	Launcher port.Launcher
	Tree     port.ProcessTree
	Registry *Registry
	// Admission keeps programs out of the service; nil lets all in.
	Admission Admission
	// SessionPrograms, if there are any, are the base names of the only programs
	// that act as what they are started as in the session of somebody who is not
	// the administrator.
	SessionPrograms []string
	// Dir, below State, says which plugins and tasks run.
	Dir string
	Log *slog.Logger
}

// Starter starts the service's own programs. Its methods may be called
// concurrently.
type Starter struct{ Config }

// New returns a Starter.
func New(cfg Config) *Starter { return &Starter{cfg} }

// Recover ends what plugins and tasks of an earlier service are left. It is
// called once, before anything is started.
func (s *Starter) Recover() {
	ended, err := s.children().end(s.Tree)
	if len(ended) > 0 {
		s.Log.Warn("plugins and tasks of a service that was killed were ended", "processes", ended)
	}
	if err != nil {
		s.Log.Error("what a service that was killed left behind", "error", err)
	}
}

// StartService starts a plugin or job task as the service account. The program
// and everything on the way to it must be Protected; it is registered before
// its first instruction. The caller waits for the process it gets. Errors name
// the file and what is wrong with it.
func (s *Starter) StartService(ctx context.Context, what core.ServiceSpec) (port.Process, error) {
	process, err := s.start(ctx, what)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", what.Path, err)
	}
	return process, nil
}

// StartInSession is StartService for a plugin that runs as the user of a session,
// and has the rights that what.As has: InUserSession is set there. It carries no
// authority (decision 27), and its program must be Protected all the same.
func (s *Starter) StartInSession(ctx context.Context, what core.ServiceSpec, in core.Session) (port.Process, error) {
	account, err := s.Accounts.ByID(in.User)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", what.Path, err)
	}
	as := core.Identity{RunAs: core.AsUser, Account: account, Session: in.ID, Login: in.User}
	if in.Graphical {
		as.RunAs = core.AsUserDesktop
	}
	what.As.User, what.As.InUserSession = in.User, true
	if !s.actsInSession(what.Path, in.User) {
		what.As = core.Principal{Kind: core.User, User: in.User}
	}
	process, err := s.startAs(ctx, what, as)
	if err != nil {
		return nil, fmt.Errorf("start %s in session %s: %w", what.Path, in.ID, err)
	}
	return process, nil
}

// actsInSession reports whether a program may act as a plugin or task in a user's
// session (Settings:AllowedNonAdminExecutables).
func (s *Starter) actsInSession(path string, user core.UserID) bool {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	return len(s.SessionPrograms) == 0 || user == s.Facts.Administrator ||
		slices.ContainsFunc(s.SessionPrograms, func(allowed string) bool { return strings.EqualFold(strings.TrimSuffix(allowed, ".exe"), name) })
}

func (s *Starter) start(ctx context.Context, what core.ServiceSpec) (port.Process, error) {
	account, err := s.Accounts.ByID(s.Facts.ServiceAccount)
	if err != nil {
		return nil, err
	}
	return s.startAs(ctx, what, core.Identity{RunAs: core.AsService, Account: account})
}

func (s *Starter) startAs(ctx context.Context, what core.ServiceSpec, as core.Identity) (_ port.Process, err error) {
	spec := port.LaunchSpec{
		As: as, Argv: what.Argv, Env: what.Env,
		Streams: port.Streams{Input: what.Stdin, Output: what.Stdout, Error: what.Stderr},
	}
	if spec.Executable, err = s.Files.LocateProtected(what.Path); err != nil {
		return nil, err
	}
	defer spec.Executable.Close()
	if err := s.admit(ctx, what.As, spec.Executable); err != nil {
		return nil, err
	}
	// Attack: an interpreter is the machine's, and what it is told to run is not.
	if what.Script != "" {
		script, err := s.Files.LocateProtected(what.Script)
		if err != nil {
			return nil, err
		}
		defer script.Close()
	}
	if spec.Script, err = seal.Script(s.Files, spec.Executable); err != nil {
		return nil, err
	}
	if spec.Dir, err = s.Files.LocateProtected(what.Dir); err != nil {
		return nil, err
	}
	defer spec.Dir.Close()
	held, err := s.Launcher.Prepare(ctx, spec)
	if err != nil {
		return nil, err
	}
	s.Registry.Register(Entry{Root: held.ID(), Group: held.Group(), As: what.As, User: as.Account.User})
	if err := s.children().add(held.ID(), held.Group()); err != nil {
		// On a full disk the policy plugin must start all the same.
		s.Log.Error("a crash of the service would leave this process behind", "program", what.Path, "process", held.ID(), "error", err)
	}
	process, err := held.Release(ctx)
	if err != nil {
		s.Registry.Remove(held.ID())
		return nil, errors.Join(err, s.children().remove(held.ID()))
	}
	return serviceProcess{process, s}, nil
}

// admit judges the very object that will be executed. It is Protected: nobody
// but root can change it between here and there.
func (s *Starter) admit(ctx context.Context, as core.Principal, handle *os.File) error {
	if s.Admission == nil {
		return nil
	}
	file, err := s.Files.Open(handle)
	if err != nil {
		return err
	}
	defer file.Close()
	return s.Admission.Admit(ctx, as, file)
}

func (s *Starter) children() children { return children{s.Dir} }

// serviceProcess tells the registry when its process has ended.
type serviceProcess struct {
	port.Process
	starter *Starter
}

// Wait implements port.Process.
func (p serviceProcess) Wait(ctx context.Context) (core.ExitStatus, error) {
	status, err := p.Process.Wait(ctx)
	if err == nil {
		p.starter.Registry.End(p.ID())
		if err := p.starter.children().remove(p.ID()); err != nil {
			p.starter.Log.Error("an ended process is remembered as running", "process", p.ID(), "error", err)
		}
	}
	return status, err
}

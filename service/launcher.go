package service

import (
	"context"
	"os"

	"kpm/core/controls"
	"kpm/core/idle"
	"kpm/core/wire"
	"kpm/launcher"
	"kpm/launcher/control"
	"kpm/launcher/origin"
	"kpm/launcher/request"
	"kpm/launcher/seal"
	"kpm/launcher/start"
	"kpm/settings"
)

// startLauncher makes what starts programs, ends what an earlier service has left
// behind, and takes requests from then on.
func (s *service) startLauncher(ctx context.Context, o Options) error {
	s.registry = start.NewRegistry(s.host.Tree, s.host.Tree.Self())
	launcherLog := s.log.With("component", "launcher")
	s.starter = start.New(start.Config{
		Facts: s.host.Facts, Files: s.host.Files, Accounts: s.host.Accounts, Sessions: s.host.Sessions, Launcher: s.host.Launcher, Tree: s.host.Tree,
		Registry: s.registry, Admission: s.admission(), SessionPrograms: s.app.SessionPrograms, Dir: s.layout.Children(), Log: launcherLog,
	})
	s.processors = newProcessors()
	var err error
	s.sealer, err = seal.New(seal.Config{
		Facts: s.host.Facts, Files: s.host.Files, Accounts: s.host.Accounts, Administrator: s.registry.Administrator,
		AllowUnknown: s.app.Requests.AllowUnknownUsers, Signatures: s.signatures, Dir: s.layout.Exec(), People: s.people(), Log: launcherLog,
	})
	if err != nil {
		return err
	}
	if err := s.openRights(); err != nil {
		return err
	}
	s.startGrants(ctx)
	s.startFileAccess(ctx)
	s.startFileChanges(ctx)
	finder := origin.NewFinder(s.host.Ancestry, s.host.Sessions, origin.NewAgents(s.app.CodingAgents))
	s.prompts = s.newPrompts(finder)
	s.execution = s.newExecution()
	s.launcher = launcher.New(launcher.Config{
		Facts: s.host.Facts, Launcher: s.host.Launcher, Tree: s.host.Tree, Terminals: s.host.Terminals,
		Sealer: s.sealer, Registry: s.registry, Journal: s.journal, Bus: &bus{s},
		Table: controls.Standard(), Controls: control.Bundled(s.inForceFactors(), s.factors, s.approvals, control.Justify{Minimum: s.app.ReasonMinimum, Reasons: s.app.Reasons}), Approvals: s.approvals, Challenge: s.codes.Challenge, Machine: machineName, Contacts: s.contacts,
		Transient: s.openTransient(),
		SessionOf: s.host.Sessions.Of, Desktop: s.desktop, Elsewhere: s.elsewhere(), TerminalOf: s.host.Sessions.Terminal, Memory: s.factors,
		Behind: finder.Of, Grants: s.grants, Files: s.files, Children: s.execution,
		Limits: request.Limits{
			Evaluate: s.app.Requests.Evaluate, Prompt: s.app.Requests.Prompt, Launch: s.app.Requests.Launch,
			MaxOpen: s.app.Requests.MaxOpen, MaxOpenPerUser: s.app.Requests.MaxOpenPerUser,
			MaxRunning: s.app.Requests.MaxRunning, MaxRunningPerUser: s.app.Requests.MaxRunningPerUser,
		},
		ProbeEvery: s.app.Monitoring.Probe, Changed: s.health.changed,
		Silent: func() { s.plugins.Silent(wire.PolicyPlugin) },
		People: s.people(), Told: s.told, Crowd: s.crowd(o.Pace),
		Redirects: settings.Redirects{Layout: s.layout, Platform: s.host.Facts.Platform, Read: s.host.Files.ReadProtected, Setting: s.effective.Get},
		Log:       launcherLog,
	})
	s.starter.Recover()
	return s.launcher.Recover(s.replay)
}

// crowd is told how many requests are open: by it the service knows how many processors
// it needs, and when it has had nothing to do.
func (s *service) crowd(pace idle.Pace) func(open int) {
	memory := idle.Memory(pace)
	s.onStop(func(context.Context) error {
		memory.Close()
		return nil
	})
	memory.Busy() // with its start
	return func(open int) {
		s.processors.crowd(open)
		memory.Busy()
	}
}

// machineName is what the machine is called now. Policies that name machines
// take one without a name for any of them.
func machineName() string {
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
}

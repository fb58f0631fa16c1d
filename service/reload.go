package service

import (
	"context"
	"os"
	"slices"
	"strings"

	"kpm/core/view"
	"kpm/core/wire"
	"kpm/settings"
)

// startReload reads files again whenever somebody asks, from now on.
func (s *service) startReload(ctx context.Context, o Options) error {
	if o.Reload == nil {
		return nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.reloadWhenAsked(ctx, o.Reload)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

func (s *service) reloadWhenAsked(ctx context.Context, asked <-chan os.Signal) {
	for {
		select {
		case <-asked:
			s.reload(ctx) // it has said what is wrong
		case <-ctx.Done():
			return
		}
	}
}

// reload reads again what can change while requests are served, and returns when all
// of it is in force. A file that cannot be used leaves in force what was, and nothing
// that runs is ended. At Warning, so that whoever asked finds it in the log.
func (s *service) reload(ctx context.Context) view.Reloaded {
	s.reloading.Lock() // one after the other, and the manager hears of each
	defer s.reloading.Unlock()
	s.tellManager("reloading", s.host.Service.Reloading)
	defer func() {
		s.tellManager("ready", s.host.Service.Ready)
		s.health.changed()
	}()
	done := view.Reloaded{Problems: []string{}}
	problem := func(what string, err error) {
		s.log.Error("reload: "+what, "error", err)
		done.Problems = append(done.Problems, what+": "+wire.PrintableLine(err.Error()))
	}
	var err error
	if done.Settings, done.RestartRequired, err = s.reloadSettings(); err != nil {
		problem("settings are as before", err)
	}
	s.guard()
	if done.Jobs, err = s.jobs.Reload(); err != nil {
		problem("jobs are as before", err)
	} else {
		s.log.Warn("reloaded jobs", "changed", names(done.Jobs))
	}
	// It goes on if whoever asked has gone: plugins are not left half restarted.
	done.Plugins, err = pluginControl{s.plugins, s}.Reload(context.WithoutCancel(ctx))
	s.reloadPlugins(done.Plugins, err)
	if err != nil {
		done.Problems = append(done.Problems, "plugins: "+wire.PrintableLine(err.Error()))
	}
	s.warnTwice()
	done.Problems = append(done.Problems, s.policiesAgain(ctx)...)
	done.Settings, done.RestartRequired, done.Jobs = inOrder(done.Settings), inOrder(done.RestartRequired), inOrder(done.Jobs)
	return done
}

// reloadOnlyPolicies is reload of policies and nothing else: somebody has put some in
// force, and other files may lie there half written.
func (s *service) reloadOnlyPolicies(ctx context.Context) view.Reloaded {
	none := []string{}
	return view.Reloaded{
		Settings: none, RestartRequired: none, Jobs: none, Problems: append([]string{}, s.policiesAgain(ctx)...),
		Plugins: view.PluginsReloaded{Added: none, Removed: none, Restarted: none, Settings: none, Broken: map[string]string{}},
	}
}

// policiesAgain has policies read again, and says what is wrong.
func (s *service) policiesAgain(ctx context.Context) (problems []string) {
	const what = "policies are not in force as they lie there"
	if err := s.reloadPolicies(ctx); err != nil {
		s.log.Error("reload: "+what, "error", err)
		return []string{what + ": " + wire.PrintableLine(err.Error())}
	}
	s.log.Warn("reloaded policies", "by", wire.PolicyPlugin)
	return nil
}

// inOrder is never nil, which JSON would show as null.
func inOrder(of []string) []string { return append([]string{}, slices.Sorted(slices.Values(of))...) }

// warnTwice names programs that are a plugin's and a job's: two processes of one
// program take each other's place.
func (s *service) warnTwice() {
	programs := s.jobs.Programs()
	for _, i := range s.plugins.InspectAll() {
		if jobs := programs[i.Program]; i.Program != "" && len(jobs) > 0 {
			s.log.Warn("a plugin's program is a job's as well; make two programs of it", "plugin", i.ID, "program", i.Program, "jobs", names(jobs))
		}
	}
}

// reloadPlugins says what reading plugin files again has changed.
func (s *service) reloadPlugins(done view.PluginsReloaded, err error) {
	if err != nil {
		s.log.Error("reload: plugins", "error", err)
	}
	if len(done.Added)+len(done.Removed)+len(done.Restarted)+len(done.Settings)+len(done.Broken) == 0 {
		s.log.Info("plugin files read again: nothing has changed")
		return
	}
	s.log.Warn("reloaded plugins", "added", names(done.Added), "removed", names(done.Removed), "restarted", names(done.Restarted),
		"settings_changed", names(done.Settings))
}

// reloadSettings puts in force what of appsettings.json can change live, and returns
// what has changed and what waits for a restart.
func (s *service) reloadSettings() (changed, waiting []string, err error) {
	s.settings.Lock()
	defer s.settings.Unlock()
	read, err := settings.LoadApp(s.layout.AppSettings(), s.host.Files.ReadProtected)
	if err != nil {
		return nil, nil, err
	}
	s.fromFile = read
	s.effective.SetService(read, s.layout.AppSettings())
	changed, waiting = s.applyStored()
	s.log.Warn("reloaded settings", "changed", names(changed), "after_a_restart", names(waiting))
	s.warnUnknown(read.Unknown)
	return changed, waiting, nil
}

// names lists what somebody looks for in the log.
func names(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

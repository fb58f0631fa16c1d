package service

import (
	"context"
	"os"
	"strings"

	"kpm/core/signal"
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
			s.tellManager("reloading", s.host.Service.Reloading)
			s.reload()
			s.tellManager("ready", s.host.Service.Ready)
			s.health.changed()
		case <-ctx.Done():
			return
		}
	}
}

// reload reads again what can change while requests are served. A file that
// cannot be used leaves in force what was, and nothing that runs is ended. At
// Warning, so that whoever asked finds it in the log.
func (s *service) reload() {
	_ = s.reloadSettings() // it has said what is wrong
	s.guard()
	switch changed, err := s.jobs.Reload(); {
	case err != nil:
		s.log.Error("reload: jobs are as before", "error", err)
	default:
		s.log.Warn("reloaded jobs", "changed", names(changed))
	}
	s.reloadPlugins(pluginControl{s.plugins, s}.Reload(context.Background()))
	s.warnTwice()
	// It reads policies by itself when they change, and its settings when told.
	if err := s.plugins.Signal(wire.PolicyPlugin, signal.Hangup); err != nil {
		s.log.Error("reload: policies are as before", "error", err)
	} else {
		s.log.Warn("reloaded policies", "by", wire.PolicyPlugin)
	}
}

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

// reloadSettings puts in force what of appsettings.json can change live.
func (s *service) reloadSettings() error {
	s.settings.Lock()
	defer s.settings.Unlock()
	read, err := settings.LoadApp(s.layout.AppSettings(), s.host.Files.ReadProtected)
	if err != nil {
		s.log.Error("reload: settings are as before", "error", err)
		return err
	}
	s.fromFile = read
	s.effective.SetService(read, s.layout.AppSettings())
	changed, waiting := s.applyStored()
	s.log.Warn("reloaded settings", "changed", names(changed), "after_a_restart", names(waiting))
	s.warnUnknown(read.Unknown)
	return nil
}

// names lists what somebody looks for in the log.
func names(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

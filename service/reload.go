package service

import (
	"context"
	"os"
	"strings"

	"kpm/core/signal"
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
	s.reloadSettings()
	switch changed, err := s.jobs.Reload(); {
	case err != nil:
		s.log.Error("reload: jobs are as before", "error", err)
	default:
		s.log.Warn("reloaded jobs", "changed", names(changed))
	}
	changed, waiting, err := s.plugins.Reload()
	s.declarePlugins()
	switch {
	case err != nil:
		s.log.Error("reload: plugins are as before", "error", err)
	default:
		s.log.Warn("reloaded the settings of plugins", "changed", names(changed), "after_a_restart", names(waiting))
	}
	// It reads policies by itself when they change, and its settings when told.
	if err := s.plugins.Signal(wire.PolicyPlugin, signal.Hangup); err != nil {
		s.log.Error("reload: policies are as before", "error", err)
	} else {
		s.log.Warn("reloaded policies", "by", wire.PolicyPlugin)
	}
}

// reloadSettings puts in force what of appsettings.json can change live.
func (s *service) reloadSettings() {
	read, err := settings.LoadApp(s.layout.AppSettings(), s.host.Files.ReadProtected)
	if err != nil {
		s.log.Error("reload: settings are as before", "error", err)
		return
	}
	now, changed, waiting := s.inForce.Reload(read)
	s.inForce = now
	s.level.Set(now.LogLevel)
	s.plugins.SetMonitoring(now.Monitoring)
	s.launcher.SetTimes(now.Requests.Evaluate, now.Requests.Prompt, now.Requests.Launch)
	s.log.Warn("reloaded settings", "changed", names(changed), "after_a_restart", names(waiting))
	s.warnUnknown(read.Unknown)
}

// names lists what somebody looks for in the log.
func names(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

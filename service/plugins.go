package service

import (
	"context"
	"fmt"
	"time"

	"kpm/core/wire"
	"kpm/plugins"
)

// pluginsWithin is how long the service waits for its plugins before it says
// that it is ready without them.
const pluginsWithin = 5 * time.Second

// readPlugins reads the plugins' files.
func (s *service) readPlugins(context.Context, Options) error {
	var err error
	s.plugins, err = plugins.New(plugins.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, BaseEnvironment: s.host.Facts.BaseEnvironment, Monitoring: s.app.Monitoring,
		Read: s.host.Files.ReadProtected, Effective: s.effective, Starter: s.starter,
		APIBaseURL: s.apiBaseURL, Exited: s.exited,
		Decider: wire.PolicyPlugin, Absent: s.launcher.PolicyAbsent, Log: s.log.With("component", "plugins"),
	})
	return err
}

// startPlugins starts those that start by themselves. Those that do not are
// their own fault, and the log's.
func (s *service) startPlugins(ctx context.Context, _ Options) error {
	s.onStop(s.plugins.Stop)
	waiting, cancel := context.WithTimeout(ctx, pluginsWithin)
	defer cancel()
	if err := s.plugins.Start(waiting); err != nil {
		s.log.Error("not every plugin was started", "error", err)
	}
	if err := s.plugins.Healthy(waiting); err != nil {
		s.log.Error("not every plugin is healthy", "error", err)
	}
	return nil
}

func (s *service) apiBaseURL() string {
	if s.https == nil || s.https.Held() == 0 {
		return ""
	}
	return fmt.Sprintf("https://127.0.0.1:%d", s.https.Held())
}

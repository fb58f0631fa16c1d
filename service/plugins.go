package service

import (
	"context"
	"fmt"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/plugins"
)

// pluginsWithin is how long the service waits for its plugins before it says
// that it is ready without them.
const pluginsWithin = 5 * time.Second

// readPlugins reads the plugins' files.
func (s *service) readPlugins(_ context.Context, o Options) error {
	var err error
	s.plugins, err = plugins.New(plugins.Config{
		Layout: s.layout, Platform: s.host.Facts.Platform, BaseEnvironment: s.host.Facts.BaseEnvironment, Monitoring: s.app.Monitoring,
		Read: s.host.Files.ReadProtected, Effective: s.effective, Starter: s.starter,
		Sessions: s.host.Sessions, SessionsChanged: o.SessionsChanged, UserName: s.userName, Ping: s.ping,
		APIBaseURL: s.apiBaseURL, Exited: s.exited,
		Decider: wire.PolicyPlugin, Absent: s.launcher.PolicyAbsent, Beside: wire.TopicLogger, Log: s.log.With("component", "plugins"),
	})
	if err != nil {
		return err
	}
	s.declarePlugins()
	return nil
}

// startPlugins begins to start those that start by themselves: what they take until they
// connect goes by beside what is left to do here. Where unapproved changes are undone,
// that comes first.
func (s *service) startPlugins(ctx context.Context, _ Options) error {
	if !s.restores() {
		s.beginPlugins(ctx)
	}
	return nil
}

func (s *service) beginPlugins(ctx context.Context) {
	starting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	started := make(chan struct{})
	go func() {
		defer close(started)
		if err := s.plugins.Start(starting); err != nil && starting.Err() == nil {
			s.log.Error("not every plugin was started", "error", err)
		}
	}()
	s.pluginsStarted = started
	s.endPlugins = func(ctx context.Context) error {
		cancel()
		<-started
		return s.plugins.Stop(ctx)
	}
	s.onStop(s.endPlugins)
}

// awaitPlugins waits a while for them. Those that do not come are their own fault, and
// the log's; those whose turn comes later on a slow machine are started all the same.
func (s *service) awaitPlugins(ctx context.Context, _ Options) error {
	if s.pluginsStarted == nil {
		s.beginPlugins(ctx)
	}
	s.onStop(s.endPlugins) // before what they are connected to ends
	waiting, done := context.WithTimeout(ctx, pluginsWithin)
	defer done()
	select {
	case <-s.pluginsStarted:
	case <-waiting.Done():
	}
	if err := s.plugins.Healthy(waiting); err != nil {
		s.log.Error("not every plugin is healthy", "error", err)
	}
	return nil
}

// confirmedPlugins are the plugins as they are when somebody asks: on an idle machine
// nobody knows of a policy plugin that hangs before it is asked something.
type confirmedPlugins struct {
	*plugins.Orchestrator
	confirm func()
}

var _ api.Plugins = confirmedPlugins{}

// List implements api.Plugins.
func (p confirmedPlugins) List() []view.Plugin {
	p.confirm()
	return p.Orchestrator.List()
}

// Health implements api.Plugins.
func (p confirmedPlugins) Health(id string) (view.PluginHealth, error) {
	p.confirm()
	return p.Orchestrator.Health(id)
}

// pluginControl is the orchestrator, and tells the bus what it reads.
type pluginControl struct {
	*plugins.Orchestrator
	service *service
}

var _ api.PluginControl = pluginControl{}

// Reload implements api.PluginControl.
func (c pluginControl) Reload(ctx context.Context) (view.PluginsReloaded, error) {
	done, err := c.Orchestrator.Reload(ctx)
	c.service.declarePlugins()
	return done, err
}

// Refresh is Reload after files have changed.
func (c pluginControl) Refresh(ctx context.Context) (view.PluginsReloaded, error) {
	done, err := c.Orchestrator.Refresh(ctx)
	c.service.declarePlugins()
	return done, err
}

// watchPlugins looks after the plugins from now on.
func (s *service) watchPlugins(ctx context.Context, _ Options) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.plugins.Monitor(ctx)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

// userName is what a user is called in arguments of what runs in their session.
func (s *service) userName(id core.UserID) (string, error) {
	account, err := s.host.Accounts.ByID(id)
	return account.Name, err
}

// ping asks a plugin for a sign of life on its own topic.
func (s *service) ping(id, topic string) error {
	return s.publish(context.Background(), topic, wire.TypePing, struct {
		Plugin string `json:"PluginId"`
	}{id}, "")
}

func (s *service) apiBaseURL() string { return baseURL("https", s.https) }

func (s *service) httpBaseURL() string { return baseURL("http", s.http) }

func baseURL(scheme string, port *tcpPort) string {
	if port == nil || port.Held() == 0 {
		return ""
	}
	return fmt.Sprintf("%s://127.0.0.1:%d", scheme, port.Held())
}

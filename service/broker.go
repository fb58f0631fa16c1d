package service

import (
	"context"

	"kpm/broker"
	"kpm/core"
	"kpm/core/logentry"
	"kpm/core/wire"
)

// startBroker makes the broker, and has the service hear answers and events on
// it; listen opens it.
func (s *service) startBroker(ctx context.Context, _ Options) error {
	var err error
	s.broker, err = broker.New(broker.Config{
		TLS: s.certificate.TLS(), Peers: s.host.Peers, Registry: s.registry,
		Topics: topics{s}, Requests: states{s}, Self: s.host.Tree.Self(),
		RequireJobToken: s.app.RequireJobToken, People: s.people(), Logged: logentry.Named,
		Turn:           func(p core.Principal) <-chan struct{} { return s.plugins.Turn(p) },
		OnConnected:    func(p core.Principal, _ core.ProcessID) { s.plugins.Connected(p) },
		OnSubscribed:   s.subscribed,
		OnDisconnected: func(p core.Principal, _ core.ProcessID) { s.disconnected(p) },
		OnWanted:       func(p core.Principal, _ string) { s.plugins.Wanted(p.Name) },
		OnPublished:    func(p core.Principal, topic string) { s.plugins.Published(p, topic) },
		Log:            s.log.With("component", "broker"),
	})
	if err != nil {
		return err
	}
	s.onStop(s.broker.Close)
	s.startShipping(ctx)
	err = s.broker.Subscribe(wire.TopicReplies+"/"+core.ServicePrincipal().String()+"/#", s.answered)
	if err != nil {
		return err
	}
	if err := s.broker.Subscribe(wire.TopicEvents, s.happened); err != nil {
		return err
	}
	return s.broker.Subscribe(wire.TopicJobService, s.requested)
}

// declarePlugins tells the broker what the plugins' files say, as they are now.
func (s *service) declarePlugins() {
	var declared []broker.Plugin
	for _, v := range s.plugins.Voices() {
		declared = append(declared, broker.Plugin{
			Principal: core.Principal{Kind: core.Plugin, Name: v.ID},
			Topic:     v.Topic, Publish: v.Publish, Subscribe: v.Subscribe, Keep: v.Keep, Wake: v.Wake,
		})
	}
	s.broker.SetPlugins(declared)
}

// startShipping publishes the service's warnings, from now until its plugins have
// stopped.
func (s *service) startShipping(ctx context.Context) {
	s.ship.heard, s.ship.publish = s.broker.Heard, s.broker.Publish
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ship.run(ctx)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
}

// states shows the broker a request's state by the names of docs/wire.md.
type states struct{ *service }

var _ broker.Requests = states{}

func (s states) State(id core.RequestID) (string, bool) {
	state, ok := s.launcher.State(id)
	return string(state), ok
}

// topics shows the broker what plugins and jobs declared.
type topics struct{ *service }

var _ broker.Topics = topics{}

func (t topics) Declared(p core.Principal) (publish, subscribe []string) {
	switch p.Kind {
	case core.Plugin:
		return t.plugins.Topics(p.Name)
	case core.JobRun:
		return t.jobs.Topics(p.Name)
	}
	return nil, nil
}

func (t topics) Token(p core.Principal) string { return t.jobs.Token(p) }

package service

import (
	"net"

	"kpm/broker"
	"kpm/core"
)

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

// dial connects a job run's Http task to the API (decision 16).
func (s *service) dial(run core.Principal) (net.Conn, error) { return s.api.Dial(run) }

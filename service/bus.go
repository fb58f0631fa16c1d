package service

import (
	"context"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher"
)

// bus is the service's own voice on the broker.
type bus struct{ *service }

var _ launcher.Bus = (*bus)(nil)

// Ask publishes a question; its answer comes to answered.
func (b *bus) Ask(ctx context.Context, q wire.PolicyRequest) error {
	reply := wire.ReplyTopic(core.ServicePrincipal(), string(q.RequestID))
	return b.publish(ctx, wire.TopicPolicy, wire.TypePolicyRequest, q, reply)
}

// Probe publishes the service's own question; its answer comes to answered.
func (b *bus) Probe(ctx context.Context, id string) error {
	m, err := wire.New(wire.TypePolicyRequest, core.ServicePrincipal().String(), wire.Probe())
	if err != nil {
		return err
	}
	m.MessageID, m.ReplyTopic = id, wire.TopicProbed
	return b.broker.Publish(ctx, wire.TopicPolicy, m)
}

// List publishes a question of the service's own; its answer comes to answered.
func (b *bus) List(ctx context.Context, id string, q wire.PolicyRequest) error {
	m, err := wire.New(wire.TypePolicyRequest, core.ServicePrincipal().String(), q)
	if err != nil {
		return err
	}
	m.MessageID, m.ReplyTopic = id, wire.TopicProbed
	return b.broker.Publish(ctx, wire.TopicPolicy, m)
}

// Raise publishes an event; it comes to happened, as to every subscriber.
func (b *bus) Raise(ctx context.Context, e wire.Event) error {
	return b.publish(ctx, wire.TopicEvents, wire.TypeEvent, e, "")
}

func (s *service) publish(ctx context.Context, topic, messageType string, payload any, reply string) error {
	m, err := wire.New(messageType, core.ServicePrincipal().String(), payload)
	if err != nil {
		return err
	}
	m.ReplyTopic = reply
	return s.broker.Publish(ctx, topic, m)
}

// answered hears answers to the service's own questions. The broker has
// checked who may publish them; the launcher checks again, and that it asked.
//
// What a job says about its own request is for whoever reads the log: it moves
// nothing (decision 16).
func (s *service) answered(from core.Principal, topic string, m wire.RequestMessage) {
	if m.Type == wire.TypeFinalAnswer {
		s.log.Debug("a job's final answer", "from", from, "topic", topic)
		return
	}
	var answer wire.PolicyResponse
	err := m.Read(wire.TypePolicyResponse, &answer)
	// Attack: one of the same name that runs as a user says that no policy is about this.
	decides := isPolicy(from) && !from.InUserSession
	if err == nil && decides {
		s.execution.Policies(answer.Generation, answer.Executions, answer.ChildRules)
	}
	switch {
	case err != nil:
	case topic == wire.TopicProbed: // whatever it says, it is about no request
		s.plugins.Responds(wire.PolicyPlugin)
		if decides {
			s.rules.digest(answer.FileRulesDigest)
			s.changes.digest(answer.FileChangesDigest)
		}
		if s.policies.answered(from, m.CorrelationID, answer) {
			if decides {
				s.rights.policy(answer)
			}
			return
		}
		if s.rules.answered(from, m.CorrelationID, answer) || s.changes.answered(from, m.CorrelationID, answer) {
			return
		}
		var listed bool
		if listed, err = s.launcher.PolicyListed(from, m.CorrelationID, answer); !listed {
			if err = s.launcher.PolicyProbed(from, m.CorrelationID, answer.Fault); err == nil {
				s.rights.policy(answer)
			}
		}
	default:
		err = s.launcher.Answer(from, answer)
	}
	if err != nil {
		s.log.Warn("an answer was not taken", "from", from, "topic", topic, "error", err)
	}
}

// happened hears events and starts the jobs that name them.
func (s *service) happened(from core.Principal, _ string, m wire.RequestMessage) {
	var event wire.Event
	if err := m.Read(wire.TypeEvent, &event); err != nil {
		s.log.Warn("an event was not taken", "from", from, "error", err)
		return
	}
	s.jobs.Trigger(from, event)
}

// requested hears what is said to the job service. Its own words are none of it.
func (s *service) requested(from core.Principal, _ string, m wire.RequestMessage) {
	if m.Type != wire.TypeTriggerJob {
		return
	}
	var t wire.TriggerJob
	if err := m.Read(wire.TypeTriggerJob, &t); err != nil {
		s.log.Warn("a request for a job was not taken", "from", from, "error", err)
		return
	}
	s.asked(from, t)
}

// completed tells the bus how a job run ended.
func (s *service) completed(done wire.JobCompleted) {
	err := s.publish(context.Background(), wire.TopicJobService, wire.TypeJobCompleted, done, "")
	if err != nil {
		s.log.Debug("the end of a job run was not published", "job", done.JobID, "error", err)
	}
}

// subscribed is told by the broker of each subscription that it granted.
func (s *service) subscribed(p core.Principal, filter string) {
	s.plugins.Subscribed(p, filter)
	if isPolicy(p) && wire.Match(filter, wire.TopicPolicy) {
		s.launcher.PolicyListens()
	}
}

// disconnected is told by the broker when the last connection of a process has
// ended.
func (s *service) disconnected(p core.Principal) {
	s.plugins.Disconnected(p)
	if isPolicy(p) {
		s.launcher.PolicyDisconnected()
	}
}

func isPolicy(p core.Principal) bool { return p.Kind == core.Plugin && p.Name == wire.PolicyPlugin }

// exited is told by the orchestrator that a plugin's process has ended.
func (s *service) exited(p core.Principal) {
	s.broker.Disconnect(p)
	if isPolicy(p) {
		s.launcher.PolicyLost()
	}
}

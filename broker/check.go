package broker

import (
	"errors"
	"fmt"
	"slices"

	"kpm/core"
	"kpm/core/wire"
)

// check says why s may not publish payload on topic, or nil. What is permitted
// on an authority topic is returned decoded, and has opened or used up its
// permit.
func (b *Broker) check(s *speaker, topic string, retain bool, payload []byte) (*wire.RequestMessage, error) {
	if !wire.ValidTopic(topic) {
		return nil, fmt.Errorf("topic %q cannot be published to", brief(topic))
	}
	if !restricted(topic) {
		if s.mayWrite(topic) {
			return nil, nil
		}
		return b.checkElsewhere(s, topic, payload)
	}
	if retain {
		return nil, fmt.Errorf("%s takes no retained messages", topic)
	}
	m, err := wire.Decode(payload)
	if err != nil {
		return nil, err
	}
	if err := unambiguous(payload); err != nil {
		return nil, err
	}
	return &m, b.checkMessage(s, topic, m)
}

// checkMessage is check for a decoded message on an authority topic: a row of
// the table must match in every column.
func (b *Broker) checkMessage(s *speaker, topic string, m wire.RequestMessage) error {
	if m.Source != s.principal.String() {
		return fmt.Errorf("Source is %q, the publisher is %s", brief(m.Source), s.principal)
	}
	read := classify
	if s.principal == core.ServicePrincipal() {
		read = classifyOwn
	}
	kind, id, err := read(m)
	if err != nil {
		return err
	}
	if kind == finalAnswer {
		// Attack: a job answers for somebody else's request. The run knows
		// which one is its own; what the message says does not count.
		id = s.principal.Request
	}
	for _, r := range authority {
		if r.op != publish || r.kind != kind || !r.names(topic, s.principal, id) || !r.permits(s) {
			continue
		}
		if err := b.inState(r, id); err != nil {
			return err
		}
		switch {
		case r.subject == policyOnce:
			return b.useReply(topic, m)
		case kind == question || kind == ownQuestion:
			return b.openReply(s, m, id)
		}
		return nil
	}
	return s.refused(topic, kind)
}

// errUnheard means that a message is acknowledged, counted as refused, and
// delivered to nobody.
var errUnheard = errors.New("only what the service publishes here is delivered")

// refused says why no row permits s to publish a message of this kind on topic.
func (s *speaker) refused(topic string, k kind) error {
	if s.mayIfDeclared(k, topic) {
		return fmt.Errorf("%w, by its own name: no wildcard covers it", s.undeclared(topic))
	}
	if s.principal.InUserSession {
		return fmt.Errorf("%s runs in a user's session and may not publish %s on %s", s.principal, k.plain(), topic)
	}
	why := ""
	for _, r := range authority {
		if r.op == publish && r.kind == k && r.topic != topic && s.mayIfDeclared(k, r.topic) {
			why = fmt.Sprintf("; a topic for this is %s", r.topic)
			break
		}
	}
	if !slices.Contains(s.publish, topic) {
		why += "; nor does it declare that topic"
	}
	return fmt.Errorf("%s may not publish %s on %s%s", s.principal, k.plain(), topic, why)
}

// mayIfDeclared reports whether s could publish messages of a kind on a topic if
// its file declared that.
func (s *speaker) mayIfDeclared(k kind, topic string) bool {
	declaring := &speaker{principal: s.principal, publish: []string{topic}}
	return slices.ContainsFunc(authority[:], func(r rule) bool {
		return r.op == publish && r.kind == k && r.topic == topic && r.permits(declaring)
	})
}

// undeclared says that s does not declare topic, and where it would.
func (s *speaker) undeclared(topic string) error {
	where := ""
	switch s.principal.Kind {
	case core.JobRun:
		where = fmt.Sprintf(": add it to mqttTopics.allowedPublications in Jobs/%s.json", s.principal.Name)
	case core.Plugin:
		where = fmt.Sprintf(": add it to metadata.mqttTopics.publish in Plugins/%s.json", s.principal.Name)
	}
	return fmt.Errorf("%s does not declare topic %s%s", s.principal, topic, where)
}

// checkElsewhere permits what s does not declare but KeeperPolicy owes: an
// answer on a topic of the asker's own (decision 21).
func (b *Broker) checkElsewhere(s *speaker, topic string, payload []byte) (*wire.RequestMessage, error) {
	undeclared := s.undeclared(topic)
	if !(rule{subject: policyOnce}).permits(s) {
		return nil, undeclared
	}
	m, err := wire.Decode(payload)
	if err != nil || m.Type != wire.TypePolicyResponse || m.Source != s.principal.String() ||
		unambiguous(payload) != nil || b.useReply(topic, m) != nil {
		return nil, undeclared
	}
	return &m, nil
}

func (b *Broker) inState(r rule, id core.RequestID) error {
	switch r.state {
	case noRequest, anyState:
		return nil
	case unheard:
		return errUnheard
	}
	state, ok := b.cfg.Requests.State(id)
	if !ok {
		return fmt.Errorf("there is no request %q", brief(string(id)))
	}
	if state != r.state {
		return fmt.Errorf("request %s is %s, this needs %s", id, state, r.state)
	}
	return nil
}

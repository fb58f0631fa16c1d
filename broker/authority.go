package broker

import (
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// The words below are those of docs/wire.md, "Authority"; a test compares the
// table there with the one here, row by row.

type operation string

const (
	publish   operation = "publish"
	subscribe operation = "subscribe"
)

// subject is whom a rule permits.
type subject string

const (
	theService     subject = "KeeperPrivilegeManager"
	policyPlugin   subject = "Plugin KeeperPolicy"
	policyOnce     subject = "Plugin KeeperPolicy, once per question"
	pluginDeclared subject = "Plugin at Plugin tier, declared"
	eitherDeclared subject = "Plugin or JobRun at Plugin tier, declared"
	itself         subject = "that principal"
)

// Topics of rules that hold more than one topic.
const (
	serviceReplies = "Replies/KeeperPrivilegeManager/{RequestId}"
	otherReplies   = "Replies/{principal}/{id}"
	ownReplies     = "Replies/{principal}/#"
)

// anyState is the request state of messages that concern no request.
const anyState = "none"

// rule is one row: what is permitted, and to whom. State is the state that the
// message's request must be in.
type rule struct {
	topic   string
	op      operation
	kind    kind
	subject subject
	state   string
}

// authority is the whole of what may be done with the authority topics. It is
// never written to.
var authority = [...]rule{
	{wire.TopicPolicy, publish, question, theService, "Evaluating"},
	{wire.TopicPolicy, publish, ownQuestion, eitherDeclared, anyState},
	{wire.TopicPolicy, subscribe, noKind, policyPlugin, ""},
	{serviceReplies, publish, answer, policyOnce, "Evaluating"},
	{otherReplies, publish, answer, policyOnce, anyState},
	{ownReplies, subscribe, noKind, itself, ""},
	{wire.TopicEvents, publish, eventPending, theService, "Pending"},
	{wire.TopicEvents, publish, eventLaunch, theService, "Allowed"},
	{wire.TopicEvents, publish, eventStartup, theService, anyState},
	{wire.TopicEvents, publish, eventOther, eitherDeclared, anyState},
	{wire.TopicEvents, subscribe, noKind, pluginDeclared, ""},
	{wire.TopicJobService, publish, jobCompleted, theService, anyState},
	{wire.TopicJobService, subscribe, noKind, eitherDeclared, ""},
}

// restricted reports whether s, a topic or filter, names authority topics and
// nothing else. A filter such as "#" does not: it is an ordinary one through
// which no message of an authority topic is ever received (mayRead).
func restricted(s string) bool {
	first, _, _ := strings.Cut(s, "/")
	return s == wire.TopicPolicy || s == wire.TopicEvents || s == wire.TopicJobService || first == wire.TopicReplies
}

// names reports whether the rule's topic, for speaker p and request id, is s.
func (r rule) names(s string, p core.Principal, id core.RequestID) bool {
	switch r.topic {
	case serviceReplies:
		return id != "" && s == wire.ReplyTopic(core.ServicePrincipal(), string(id))
	case otherReplies:
		levels := strings.Split(s, "/")
		return len(levels) == 3 && levels[0] == wire.TopicReplies && levels[2] != "" &&
			levels[1] != core.ServicePrincipal().String()
	case ownReplies:
		return wire.Covers(wire.TopicReplies+"/"+p.String()+"/#", s)
	}
	return s == r.topic
}

// speaker is a principal with what its own file declares.
type speaker struct {
	principal core.Principal
	publish   []string
	subscribe []string
}

// newSpeaker asks what p declares. What is no filter is left out.
func newSpeaker(p core.Principal, topics Topics) speaker {
	publish, subscribe := topics.Declared(p)
	return speaker{p, filters(publish), filters(subscribe)}
}

func filters(declared []string) []string {
	return slices.DeleteFunc(slices.Clone(declared), func(s string) bool { return !wire.ValidFilter(s) })
}

// permits reports whether s is whom r permits. "declared" is the topic itself:
// no wildcard of a manifest widens an authority topic (decision 20).
func (r rule) permits(s *speaker) bool {
	p := s.principal
	declared := s.publish
	if r.op == subscribe {
		declared = s.subscribe
	}
	switch r.subject {
	case theService:
		return p.Kind == core.Service
	case policyPlugin, policyOnce:
		return p.Kind == core.Plugin && p.Name == wire.PolicyPlugin && !p.InUserSession
	case pluginDeclared:
		return p.Kind == core.Plugin && p.Tier() == core.TierPlugin && slices.Contains(declared, r.topic)
	case eitherDeclared:
		return (p.Kind == core.Plugin || p.Kind == core.JobRun) && p.Tier() == core.TierPlugin &&
			slices.Contains(declared, r.topic)
	case itself:
		return true
	}
	return false
}

// mayRead reports whether s may subscribe to a filter, and whether it may
// receive a message on a topic. It takes no lock: it runs for every delivery.
func (s *speaker) mayRead(filter string) bool {
	if !restricted(filter) {
		return covered(s.subscribe, filter)
	}
	for _, r := range authority {
		if r.op == subscribe && r.names(filter, s.principal, "") && r.permits(s) {
			return true
		}
	}
	return false
}

// mayWrite reports whether s may publish to topic, which is not restricted. The
// service declares nothing and may use any.
func (s *speaker) mayWrite(topic string) bool {
	return s.principal.Kind == core.Service || covered(s.publish, topic)
}

// mayWill says why topic cannot be the topic of a Will, or nil.
func (s *speaker) mayWill(topic string) error {
	if restricted(topic) {
		return fmt.Errorf("%s takes no Wills", topic)
	}
	if !s.mayWrite(topic) {
		return fmt.Errorf("%s does not declare %s", s.principal, topic)
	}
	return nil
}

func covered(declared []string, filter string) bool {
	return slices.ContainsFunc(declared, func(d string) bool { return wire.Covers(d, filter) })
}

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
	kind, id, err := classify(m)
	if err != nil {
		return err
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
	return fmt.Errorf("%s may not publish %s on %s", s.principal, kind, topic)
}

// checkElsewhere permits what s does not declare but KeeperPolicy owes: an
// answer on a topic of the asker's own (decision 21).
func (b *Broker) checkElsewhere(s *speaker, topic string, payload []byte) (*wire.RequestMessage, error) {
	undeclared := fmt.Errorf("%s does not declare %s", s.principal, topic)
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
	if r.state == anyState {
		return nil
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

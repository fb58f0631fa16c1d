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
	jobDeclared    subject = "JobRun at Plugin tier, declared"
	jobOfRequest   subject = "JobRun at Plugin tier, of that request"
	itself         subject = "that principal"
)

// Topics of rules that hold more than one topic.
const (
	serviceReplies = "Replies/KeeperPrivilegeManager/{RequestId}"
	otherReplies   = "Replies/{principal}/{id}"
	ownReplies     = "Replies/{principal}/#"
)

// Request states of messages that move no request.
const (
	noRequest = "none" // the message concerns no request
	anyState  = "any"
	// unheard messages are acknowledged, and delivered to nobody: a job may
	// say what only the service's word makes true (decision 16).
	unheard = "any; acknowledged and delivered to nobody"
)

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
	{wire.TopicPolicy, publish, ownQuestion, theService, noRequest},
	{wire.TopicPolicy, publish, ownQuestion, eitherDeclared, noRequest},
	{wire.TopicPolicy, subscribe, noKind, policyPlugin, ""},
	{serviceReplies, publish, answer, policyOnce, "Evaluating"},
	{serviceReplies, publish, finalAnswer, jobOfRequest, anyState},
	{wire.TopicProbed, publish, answer, policyOnce, noRequest},
	{otherReplies, publish, answer, policyOnce, noRequest},
	{ownReplies, subscribe, noKind, itself, ""},
	{wire.TopicEvents, publish, eventPending, theService, "Pending"},
	{wire.TopicEvents, publish, eventLaunch, theService, "Allowed"},
	{wire.TopicEvents, publish, eventStartup, theService, noRequest},
	{wire.TopicEvents, publish, eventGrant, theService, noRequest},
	{wire.TopicEvents, publish, eventPending, jobDeclared, unheard},
	{wire.TopicEvents, publish, eventLaunch, jobDeclared, unheard},
	{wire.TopicEvents, publish, eventStartup, jobDeclared, unheard},
	{wire.TopicEvents, publish, eventGrant, jobDeclared, unheard},
	{wire.TopicEvents, publish, eventOther, eitherDeclared, noRequest},
	{wire.TopicEvents, subscribe, noKind, pluginDeclared, ""},
	{wire.TopicJobService, publish, jobCompleted, theService, noRequest},
	{wire.TopicJobService, publish, triggerJob, eitherDeclared, noRequest},
	{wire.TopicJobService, subscribe, noKind, eitherDeclared, ""},
	{wire.TopicApproval, publish, approvalRequest, theService, noRequest},
	{wire.TopicApproval, subscribe, noKind, pluginDeclared, ""},
}

// restricted reports whether s, a topic or filter, names authority topics and
// nothing else. A filter such as "#" does not: it is an ordinary one through
// which no message of an authority topic is ever received (mayRead).
func restricted(s string) bool {
	first, _, _ := strings.Cut(s, "/")
	return s == wire.TopicPolicy || s == wire.TopicEvents || s == wire.TopicJobService || s == wire.TopicApproval || first == wire.TopicReplies
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
	case jobDeclared:
		return p.Kind == core.JobRun && p.Tier() == core.TierPlugin && slices.Contains(declared, r.topic)
	case jobOfRequest:
		// names has held the topic against the run's own request.
		return p.Kind == core.JobRun && p.Tier() == core.TierPlugin && p.Request != ""
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

// lacks names the list of a file that would have to name topic for s to do op with
// it; empty if no list would do.
func (s *speaker) lacks(op operation, topic string) string {
	declaring := &speaker{principal: s.principal, publish: []string{topic}, subscribe: []string{topic}}
	lists := map[core.Kind]map[operation]string{
		core.Plugin: {publish: "metadata.mqttTopics.publish in Plugins/%s.json", subscribe: "metadata.mqttTopics.subscribe in Plugins/%s.json"},
		core.JobRun: {publish: "mqttTopics.allowedPublications in Jobs/%s.json", subscribe: "mqttTopics.allowedSubscriptions in Jobs/%s.json"},
	}
	list, ok := lists[s.principal.Kind][op]
	if !ok || op == publish && !wire.ValidTopic(topic) || op == subscribe && !wire.ValidFilter(topic) {
		return ""
	}
	helps := op == subscribe && !s.mayRead(topic) && declaring.mayRead(topic) ||
		op == publish && !restricted(topic) && !s.mayWrite(topic) ||
		op == publish && restricted(topic) && !slices.Contains(s.publish, topic) && slices.ContainsFunc(authority[:], func(r rule) bool {
			return r.op == publish && r.topic == topic && r.permits(declaring)
		})
	if !helps {
		return ""
	}
	return fmt.Sprintf(list, s.principal.Name)
}

package broker

import (
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// The service's own question has a reply topic of its own, on which nobody but
// KeeperPolicy answers, and that once.
func TestAProbe(t *testing.T) {
	b := newBus(t)
	heard := make(chan wire.RequestMessage, 4)
	if err := b.Subscribe("Replies/KeeperPrivilegeManager/#", func(_ core.Principal, topic string, m wire.RequestMessage) {
		if topic == wire.TopicProbed {
			heard <- m
		}
	}); err != nil {
		t.Fatal(err)
	}
	if b.Heard(wire.TopicPolicy) {
		t.Error("nobody has subscribed, and somebody hears")
	}
	r := b.admitted(policy, 5)
	r.subscribe(wire.TopicPolicy, 0)
	if !b.Heard(wire.TopicPolicy) {
		t.Error("KeeperPolicy has subscribed, and nobody hears")
	}
	probe := func(reply string) error {
		m, err := wire.New(wire.TypePolicyRequest, core.ServicePrincipal().String(), wire.Probe())
		if err != nil {
			t.Fatal(err)
		}
		m.MessageID, m.ReplyTopic = "probe-1", reply
		return b.Publish(t.Context(), wire.TopicPolicy, m)
	}
	for _, reply := range []string{"", "Replies/KeeperPrivilegeManager/R1", "Replies/KeeperPrivilegeManager/", "Replies/MyBridge/Probe"} {
		if err := probe(reply); err == nil {
			t.Errorf("an answer is wanted on %q", reply)
		}
	}
	if err := probe(wire.TopicProbed); err != nil {
		t.Fatal(err)
	}
	r.delivered(wire.TopicPolicy)
	answer := func(who member) []byte {
		return message(t, wire.TypePolicyResponse, who.Principal, wire.PolicyResponse{Decision: core.Deny}, answering("probe-1"))
	}
	if err := b.PublishAs(t.Context(), bridge.Principal, wire.TopicProbed, answer(bridge)); err == nil {
		t.Error("another plugin answered")
	}
	if err := b.PublishAs(t.Context(), policy.Principal, wire.TopicProbed, answer(policy)); err != nil {
		t.Errorf("KeeperPolicy: %v", err)
	}
	if m := receive(t, "the answer", heard); m.CorrelationID != "probe-1" || m.Source != "KeeperPolicy" {
		t.Errorf("heard %+v", m)
	}
	if err := b.PublishAs(t.Context(), policy.Principal, wire.TopicProbed, answer(policy)); err == nil {
		t.Error("KeeperPolicy answered twice")
	}
}

package jobs

import (
	"context"
	"net"
	"strings"
	"testing"

	"kpm/broker"
	"kpm/core"
	"kpm/core/wire"
	"kpm/jobs/task"
)

// busOf is what a broker asks, answered by the jobs of h.
type busOf struct{ h *harness }

func (b busOf) Declared(p core.Principal) (publish, subscribe []string) { return b.h.Topics(p.Name) }
func (b busOf) Token(core.Principal) string                             { return "" }
func (b busOf) State(core.RequestID) (string, bool)                     { return "Pending", true }
func (b busOf) User(net.Conn) (core.UserID, error)                      { return "", net.ErrClosed }
func (b busOf) Peer(net.Conn) (core.Peer, error)                        { return core.Peer{}, net.ErrClosed }
func (b busOf) Identify(core.Peer) (core.Principal, core.ProcessID) {
	return core.Principal{}, core.ProcessID{}
}

type heard struct {
	from  core.Principal
	topic string
	m     wire.RequestMessage
}

// withBus gives h's jobs publish-mqtt on a real broker, of which the service
// hears everything.
func withBus(t *testing.T, h *harness) (*broker.Broker, <-chan heard) {
	t.Helper()
	bus := busOf{h}
	b, err := broker.New(broker.Config{Peers: bus, Registry: bus, Topics: bus, Requests: bus})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	messages := make(chan heard, 16)
	if err := b.Subscribe("#", func(from core.Principal, topic string, m wire.RequestMessage) { messages <- heard{from, topic, m} }); err != nil {
		t.Fatal(err)
	}
	h.commands["publish-mqtt"] = task.PublishMQTT(b.PublishAs)
	h.reload()
	return b, messages
}

// nothing expects that the service has heard of nothing so far.
func nothing(t *testing.T, b *broker.Broker, messages <-chan heard) {
	t.Helper()
	m, err := wire.New(wire.TypeLog, core.ServicePrincipal().String(), "last")
	if err == nil {
		err = b.Publish(context.Background(), "last", m)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := <-messages; got.topic != "last" {
		t.Errorf("heard %+v", got)
	}
}

func publishJSON(parameters string) string {
	return `{"id": "say", "command": "publish-mqtt", "parameters": ` + parameters + `}`
}

const mayRaise = `"mqttTopics": {"allowedPublications": ["EventMessages", "KeeperLogger", "Jobs/j/+"]}`

func TestWhatATaskPublishesIsTheJobsOwnWord(t *testing.T) {
	for _, tc := range []struct {
		name, parameters string
		topic, kind      string
		payload          string
	}{
		{"a log line", `{"Topic": "KeeperLogger", "Payload": {"Level": "Warning", "Message": "{Asker}"}}`, "KeeperLogger", "Log", `{"Level":"Warning","Message":"ann"}`},
		{"declared by a wildcard", `{"Topic": "Jobs/j/events", "Payload": 1}`, "Jobs/j/events", "Log", `1`},
		{"an event", `{"Topic": "EventMessages", "Payload": {"EventName": "E", "Context": {"Who": "{Asker}"}}}`, "EventMessages", "CustomEvent", `{"Context":{"Who":"ann"},"EventName":"E"}`},
		{"an event in its envelope", `{"Topic": "EventMessages", "Payload": {"MessageType": "CustomEvent", "Payload": {"EventName": "E"}}}`, "EventMessages", "CustomEvent", `{"EventName":"E"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": jobJSON("j", publishJSON(tc.parameters), mayRaise)})
			_, messages := withBus(t, h)
			if err := h.runNow("j", map[string]any{"Asker": "ann"}); err != nil {
				t.Fatal(err)
			}
			got := <-messages
			if got.from != h.end(0).run || got.topic != tc.topic || got.m.Type != tc.kind || got.m.Source != "j" || string(got.m.Payload) != tc.payload {
				t.Errorf("heard %+v", got)
			}
		})
	}
}

// A job's event starts other jobs, as anyone's does.
func TestAJobStartsAnotherByAnEvent(t *testing.T) {
	h := newHarness(t, map[string]string{
		"j":    jobJSON("j", publishJSON(`{"Topic": "EventMessages", "Payload": {"EventName": "ScanFinished", "Context": {"Count": "3"}}}`), mayRaise),
		"next": jobJSON("next", `{"id": "a", "command": "see", "arguments": "{Count}"}`, onEvent("ScanFinished")),
	})
	counted := make(chan any, 1)
	h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		counted <- params["arguments"].([]string)[0]
		return nil, nil
	}
	b, messages := withBus(t, h)
	if err := b.Subscribe(wire.TopicEvents, func(_ core.Principal, _ string, m wire.RequestMessage) {
		var event wire.Event
		if err := m.Read(wire.TypeEvent, &event); err != nil {
			t.Error(err)
		}
		h.Trigger(event)
	}); err != nil {
		t.Fatal(err)
	}
	if err := h.runNow("j", nil); err != nil {
		t.Fatal(err)
	}
	<-messages
	if got := <-counted; got != "3" {
		t.Errorf("the second job saw %v", got)
	}
	h.end(1)
}

func TestARefusedPublishFailsTheTaskAndSaysWhatToDo(t *testing.T) {
	for _, tc := range []struct{ name, parameters, declared, want string }{
		{"not declared", `{"Topic": "Jobs/k/events"}`, mayRaise, "j does not declare topic Jobs/k/events: add it to mqttTopics.allowedPublications in Jobs/j.json"},
		{"nothing declared", `{"Topic": "KeeperLogger"}`, `"priority": 1`, "j does not declare topic KeeperLogger: add it to mqttTopics.allowedPublications in Jobs/j.json"},
		{"an event, not declared", `{"Topic": "EventMessages", "Payload": {"EventName": "E"}}`, `"mqttTopics": {"allowedPublications": ["#"]}`,
			"j does not declare topic EventMessages: add it to mqttTopics.allowedPublications in Jobs/j.json, by its own name: no wildcard covers it"},
		{"an event of the service's, not declared", `{"Topic": "EventMessages", "Payload": {"EventName": "Startup"}}`, `"priority": 1`, "j does not declare topic EventMessages"},
		{"an event without a name", `{"Topic": "EventMessages", "Payload": {"Context": {}}}`, mayRaise, "EventName is missing"},
		// Attack: a job's task speaks with the service's authority.
		{"a question about a request", `{"Topic": "KeeperPolicy", "MessageType": "PolicyRequest", "Payload": {"RequestId": "{RequestId}"}}`, `"mqttTopics": {"allowedPublications": ["KeeperPolicy"]}`, "j may not publish `PolicyRequest` on KeeperPolicy"},
		{"the end of a job", `{"Topic": "JobService", "MessageType": "JobCompleted", "Payload": {}}`, `"mqttTopics": {"allowedPublications": ["JobService"]}`, "j may not publish `JobCompleted` on JobService"},
		// Attack: a job decides about the request that it was started for.
		{"a decision", `{"Topic": "{RespondToTopic}", "MessageType": "PolicyResponse", "Payload": {"RequestId": "{RequestId}", "Decision": "ALLOW"}}`, mayRaise, "j may not publish `PolicyResponse` on Replies/KeeperPrivilegeManager/R1"},
		{"a decision in an envelope", `{"Topic": "{RespondToTopic}", "Payload": {"MessageType": "PolicyResponse", "Payload": {"RequestId": "{RequestId}", "Decision": "ALLOW"}}}`, mayRaise, "j may not publish `PolicyResponse`"},
		// Attack: a job answers for somebody else's request.
		{"another request's answer", `{"Topic": "Replies/KeeperPrivilegeManager/R2", "Payload": "ALLOW"}`, `"mqttTopics": {"allowedPublications": ["#", "Replies/#"]}`, "j may not publish `FinalAnswer` on Replies/KeeperPrivilegeManager/R2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": jobJSON("j", publishJSON(tc.parameters), onPending, tc.declared)})
			b, messages := withBus(t, h)
			h.Trigger(event("PolicyEvaluationPending", pending()))
			if err := h.end(0).err; err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant ... %s", err, tc.want)
			}
			if got := b.Stats().RefusedPublishes; got != 1 {
				t.Errorf("%d refusals counted", got)
			}
			nothing(t, b, messages)
		})
	}
}

func TestAJobAnswersItsOwnRequestForInformation(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", publishJSON(`{"Topic": "{RespondToTopic}", "Payload": {"Result": "DidElevate"}}`), onPending)})
	_, messages := withBus(t, h)
	h.Trigger(event("PolicyEvaluationPending", pending()))
	if err := h.end(0).err; err != nil {
		t.Fatal(err)
	}
	if got := <-messages; got.topic != "Replies/KeeperPrivilegeManager/R1" || got.m.Type != wire.TypeFinalAnswer || got.from.Request != "R1" {
		t.Errorf("heard %+v", got)
	}
}

// Attack: a custom event names a request, and the run that it starts answers
// for that request.
func TestARunWithoutARequestAnswersNone(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", publishJSON(`{"Topic": "Replies/KeeperPrivilegeManager/{RequestId}", "Payload": 1}`), onEvent("E"))})
	b, messages := withBus(t, h)
	h.Trigger(event("E", map[string]any{"RequestId": "R1"}))
	if err := h.end(0).err; err == nil || !strings.Contains(err.Error(), "may not publish `FinalAnswer`") {
		t.Errorf("got %v", err)
	}
	nothing(t, b, messages)
}

// The service alone says these, and a job file of the published guide that says
// them too goes on (decision 16).
func TestAJobsOwnWakeUpMovesNothing(t *testing.T) {
	for _, name := range []string{"LaunchPrivilegeElevation", "PolicyEvaluationPending", "Startup", "launchprivilegeelevation"} {
		h := newHarness(t, map[string]string{"j": jobJSON("j", publishJSON(`{"Topic": "EventMessages", "Payload": {"EventName": "`+name+`", "Context": {"RequestId": "R1"}}}`), onPending, mayRaise)})
		b, messages := withBus(t, h)
		h.Trigger(event("PolicyEvaluationPending", pending()))
		if err := h.end(0).err; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := b.Stats().RefusedPublishes; got != 1 {
			t.Errorf("%s: %d refusals counted", name, got)
		}
		nothing(t, b, messages)
	}
}

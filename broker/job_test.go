package broker

import (
	"errors"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// of is a run of some-job that was started for request id.
func of(id core.RequestID) member {
	m := job
	m.Request = id
	return m
}

// A job's answer is information about the request that its run was started for,
// and about no other.
func TestAJobAnswersForItsOwnRequestOnly(t *testing.T) {
	own := wire.ReplyTopic(service.Principal, string(pending))
	inSession := of(pending)
	inSession.InUserSession = true
	pretender := policy
	pretender.Request = pending
	for _, tc := range []struct {
		name    string
		who     member
		topic   string
		message string
		payload any
		change  func(*wire.RequestMessage)
		ok      bool
	}{
		{"its own", of(pending), own, wire.TypeFinalAnswer, map[string]any{"Result": "DidElevate"}, nil, true},
		{"its own, as text", of(pending), own, wire.TypeFinalAnswer, "Deny", nil, true},
		{"its own, when it is over", of(ended), wire.ReplyTopic(service.Principal, string(ended)), wire.TypeFinalAnswer, "done", nil, true},
		{"its own, when it is forgotten", of("GONE"), wire.ReplyTopic(service.Principal, "GONE"), wire.TypeFinalAnswer, "done", nil, true},
		// Attack: a run answers for somebody else's request.
		{"another request's", of(allowed), own, wire.TypeFinalAnswer, "done", nil, false},
		{"another request's, as the payload says", of(allowed), own, wire.TypeFinalAnswer, wire.PolicyResponse{RequestID: pending}, nil, false},
		{"a run without a request", job, own, wire.TypeFinalAnswer, "done", nil, false},
		{"a run without a request, on no request's topic", job, "Replies/KeeperPrivilegeManager/", wire.TypeFinalAnswer, "done", nil, false},
		{"below its own", of(pending), own + "/x", wire.TypeFinalAnswer, "done", nil, false},
		{"on a plugin's replies", of(pending), "Replies/MyBridge/PENDING", wire.TypeFinalAnswer, "done", nil, false},
		{"on its own replies", of(pending), "Replies/some-job/PENDING", wire.TypeFinalAnswer, "done", nil, false},
		{"where events belong", of(pending), "EventMessages", wire.TypeFinalAnswer, "done", nil, false},
		{"where questions belong", of(pending), "KeeperPolicy", wire.TypeFinalAnswer, "done", nil, false},
		// Attack: a task in a user's session can be tampered with by that user.
		{"from a user's session", inSession, own, wire.TypeFinalAnswer, "done", nil, false},
		{"from a plugin", bridge, own, wire.TypeFinalAnswer, "done", nil, false},
		{"from a plugin, were it of that request", pretender, own, wire.TypeFinalAnswer, "done", nil, false},
		{"in the service's name", of(pending), own, wire.TypeFinalAnswer, "done", func(m *wire.RequestMessage) { m.Source = "KeeperPrivilegeManager" }, false},
		// Attack: a job decides about its own request.
		{"a decision", of(pending), own, wire.TypePolicyResponse, wire.PolicyResponse{RequestID: pending, Decision: core.Allow}, nil, false},
		{"a decision while it is evaluated", of(evaluating), wire.ReplyTopic(service.Principal, string(evaluating)), wire.TypePolicyResponse, wire.PolicyResponse{RequestID: evaluating, Decision: core.Allow}, nil, false},
		{"an event", of(pending), own, wire.TypeEvent, event("Custom", ""), nil, false},
		{"a log line", of(pending), own, wire.TypeLog, wire.LogEntry{}, nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newBus(t)
			b.withRequests()
			change := tc.change
			if change == nil {
				change = func(*wire.RequestMessage) {}
			}
			data := message(t, tc.message, tc.who.Principal, tc.payload, change)
			if _, err := b.check(tc.who.speaker(), tc.topic, false, data); (err == nil) != tc.ok {
				t.Errorf("got %v, permitted should be %v", err, tc.ok)
			}
			if _, err := b.check(tc.who.speaker(), tc.topic, true, data); err == nil {
				t.Error("permitted with the retain flag")
			}
			err := b.PublishAs(t.Context(), tc.who.Principal, tc.topic, data)
			if (err == nil) != tc.ok || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("for the job: got %v, permitted should be %v", err, tc.ok)
			}
		})
	}
}

// A job may say what only the service's word makes true: it is told that all is
// well, and nobody hears of it (decision 16).
func TestAJobsWakeUpIsHeardByNobody(t *testing.T) {
	for _, tc := range []struct {
		name    string
		who     member
		event   string
		unheard bool
	}{
		{"launch", job, "LaunchPrivilegeElevation", true},
		{"launch, in other letters", job, "launchprivilegeelevation", true},
		{"pending", job, "PolicyEvaluationPending", true},
		{"startup", job, "STARTUP", true},
		{"a plugin says launch", bridge, "LaunchPrivilegeElevation", false},
		{"KeeperPolicy says launch", policy, "LaunchPrivilegeElevation", false},
		{"a task that runs as a user says launch", script, "LaunchPrivilegeElevation", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, version := range bothVersions {
				b := newBus(t)
				b.withRequests()
				data := message(t, wire.TypeEvent, tc.who.Principal, event(tc.event, allowed))
				heard := make(chan wire.RequestMessage, 8)
				if err := b.Subscribe("#", func(_ core.Principal, _ string, m wire.RequestMessage) { heard <- m }); err != nil {
					t.Fatal(err)
				}
				err := b.PublishAs(t.Context(), tc.who.Principal, wire.TopicEvents, data)
				if tc.unheard && err != nil || !tc.unheard && !errors.Is(err, ErrRefused) {
					t.Errorf("for the job: %v", err)
				}
				r := b.admitted(tc.who, version)
				for qos := range byte(2) {
					r.publish(wire.TopicEvents, qos, uint16(qos), data)
				}
				ack := r.expect("PUBACK", 0x40)
				if accepted := len(ack) == 2 || ack[2] == 0; accepted != (tc.unheard || version == 4) {
					t.Errorf("version %d: PUBACK %x", version, ack)
				}
				if got := b.Stats().RefusedPublishes; got != 3 {
					t.Errorf("%d counted", got)
				}
				if err := b.Publish(t.Context(), "last", envelope(t, "Last", service.Principal, nil)); err != nil {
					t.Fatal(err)
				}
				if m := receive(t, "the last message", heard); m.Type != "Last" {
					t.Errorf("heard %+v", m)
				}
			}
		})
	}
}

func TestARefusalSaysWhereToDeclareATopic(t *testing.T) {
	b := newBus(t)
	declared := member{Principal: job.Principal, publish: []string{"#"}}
	for _, tc := range []struct {
		who   member
		topic string
		want  string
	}{
		{declared, "EventMessages", "some-job does not declare topic EventMessages: add it to mqttTopics.allowedPublications in Jobs/some-job.json, by its own name: no wildcard covers it"},
		{job, "Nosy/x", "some-job does not declare topic Nosy/x: add it to mqttTopics.allowedPublications in Jobs/some-job.json"},
		{logger, "EventMessages", "KeeperLogger does not declare topic EventMessages: add it to metadata.mqttTopics.publish in Plugins/KeeperLogger.json, by its own name"},
		{script, "EventMessages", "desk-job runs in a user's session and may not publish `CustomEvent` on EventMessages"},
		{bridge, "JobService", "MyBridge may not publish `CustomEvent` on JobService; a topic for this is EventMessages"},
	} {
		_, err := b.check(tc.who.speaker(), tc.topic, false, message(t, wire.TypeEvent, tc.who.Principal, event("Custom", "")))
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s on %s: %v\nwant %s", tc.who.Principal, tc.topic, err, tc.want)
		}
	}
}

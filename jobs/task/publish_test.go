package task

import (
	"context"
	"errors"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

func TestPublishMQTTMakesOneEnvelopeInTheJobsName(t *testing.T) {
	run := core.Principal{Kind: core.JobRun, Name: "j", Run: "r", Request: "R1"}
	event := map[string]any{"EventName": "E", "Context": map[string]any{"A": "b"}}
	const flat = `{"Context":{"A":"b"},"EventName":"E"}`
	for _, tc := range []struct {
		name    string
		params  map[string]any
		kind    string
		payload string
	}{
		{"a log line", map[string]any{"Topic": "KeeperLogger", "Payload": map[string]any{"Level": "Information", "Message": "m"}}, wire.TypeLog, `{"Level":"Information","Message":"m"}`},
		{"text", map[string]any{"Topic": "Jobs/j/events", "Payload": "done"}, wire.TypeLog, `"done"`},
		{"nothing", map[string]any{"Topic": "Jobs/j/events"}, wire.TypeLog, `null`},
		{"a type of its own", map[string]any{"Topic": "Jobs/j/events", "MessageType": "Progress", "Payload": 5}, "Progress", `5`},
		{"an event that says so", map[string]any{"Topic": "EventMessages", "MessageType": "CustomEvent", "Payload": event}, wire.TypeEvent, flat},
		{"an event by its name", map[string]any{"Topic": "EventMessages", "EventName": "E", "Context": map[string]any{"A": "b"}}, wire.TypeEvent, flat},
		{"an event whose context a token has filled in", map[string]any{"Topic": "EventMessages", "EventName": "E", "Context": `{"A": "b"}`}, wire.TypeEvent, flat},
		{"an event by its name, with a payload", map[string]any{"Topic": "EventMessages", "EventName": "E", "Payload": map[string]any{"A": "b"}}, wire.TypeEvent, flat},
		{"the wish for a run", map[string]any{"Topic": "JobService", "Payload": map[string]any{"JobId": "other"}}, wire.TypeTriggerJob, `{"JobId":"other"}`},
		{"an event, flat", map[string]any{"Topic": "EventMessages", "Payload": event}, wire.TypeEvent, flat},
		{"an event in its envelope", map[string]any{"Topic": "EventMessages", "Payload": map[string]any{"MessageType": "CustomEvent", "Payload": event}}, wire.TypeEvent, flat},
		// Subscribers show the Source as the publisher.
		{"an envelope in somebody's name", map[string]any{"Topic": "KeeperLogger", "Payload": map[string]any{"messagetype": "Log", "Source": "KeeperPolicy", "payload": "x"}}, wire.TypeLog, `"x"`},
		{"an answer", map[string]any{"Topic": "Replies/KeeperPrivilegeManager/R1", "Payload": map[string]any{"Result": "DidElevate"}}, wire.TypeFinalAnswer, `{"Result":"DidElevate"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var topic string
			var sent []byte
			_, err := PublishMQTT(func(_ context.Context, p core.Principal, to string, payload []byte) error {
				if p != run {
					t.Errorf("published as %+v", p)
				}
				topic, sent = to, payload
				return nil
			})(t.Context(), run, tc.params)
			if err != nil {
				t.Fatal(err)
			}
			m, err := wire.Decode(sent)
			if err != nil || topic != tc.params["Topic"] || m.Type != tc.kind || m.Source != "j" || string(m.Payload) != tc.payload || m.MessageID == "" || m.Timestamp.IsZero() {
				t.Errorf("on %s: %s, %v", topic, sent, err)
			}
		})
	}
}

func TestPublishMQTTNamesTheFault(t *testing.T) {
	refused := errors.New("refused")
	publish := PublishMQTT(func(context.Context, core.Principal, string, []byte) error { return refused })
	for _, tc := range []struct {
		topic   any
		payload any
		want    string
	}{
		{"Jobs/+/events", nil, `parameter Topic is "Jobs/+/events", expected a topic without wildcards`},
		{nil, nil, "parameter Topic is missing, expected a topic without wildcards"},
		{5.0, nil, "parameter Topic is missing"},
		{"KeeperLogger", strings.Repeat("x", wire.MaxMessage), "the limit is 1048576"},
		{"KeeperLogger", "x", "refused"},
	} {
		_, err := publish(t.Context(), core.Principal{Kind: core.JobRun, Name: "j"}, map[string]any{"Topic": tc.topic, "Payload": tc.payload})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%v: got %v, want %s", tc.topic, err, tc.want)
		}
	}
}

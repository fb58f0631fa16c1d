package task

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
)

// Publish says payload, an envelope, on topic as p and with p's rights. Whether
// p has them is the broker's table (docs/wire.md, "Authority") and what p's file
// declares; the error says what is missing.
type Publish func(ctx context.Context, p core.Principal, topic string, payload []byte) error

// PublishMQTT publishes parameter "Payload" on "Topic" in the job's name, in an
// envelope of "MessageType". Without that parameter, a payload that is an
// envelope itself says its own type, and any other gets that of its topic:
// CustomEvent for events, TriggerJob for the wish for a run, FinalAnswer for replies,
// else Log.
func PublishMQTT(publish Publish) Command {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		if name, ok := params["EventName"].(string); ok {
			params = event(name, params)
		}
		topic, _ := params["Topic"].(string)
		if !wire.ValidTopic(topic) {
			return nil, fmt.Errorf("parameter Topic is %s, expected a topic without wildcards", fault.Quote(topic))
		}
		m, err := compose(run, topic, params)
		if err != nil {
			return nil, err
		}
		data, err := m.Encode()
		if err != nil {
			return nil, err
		}
		return nil, publish(ctx, run, topic, data)
	}
}

// event is what publishes the event that parameters "EventName" and "Context", or
// "Payload", name.
func event(name string, params map[string]any) map[string]any {
	payload := map[string]any{"EventName": name}
	context, ok := params["Context"]
	if !ok {
		context, ok = params["Payload"] // the published text calls it so, too
	}
	if ok {
		// A token stands inside a string, and may be an object all the same.
		var object map[string]any
		if text, is := context.(string); is && json.Unmarshal([]byte(text), &object) == nil && object != nil {
			context = object
		}
		payload["Context"] = context
	}
	topic, ok := params["Topic"]
	if !ok {
		topic = wire.TopicEvents
	}
	return map[string]any{"Topic": topic, "Payload": payload}
}

// compose makes the envelope. Its Source is the run's, whatever the task says:
// subscribers show it as the publisher.
func compose(run core.Principal, topic string, params map[string]any) (wire.RequestMessage, error) {
	if messageType, ok := params["MessageType"].(string); ok {
		return wire.New(messageType, run.String(), params["Payload"])
	}
	m, err := wire.New(typeFor(topic), run.String(), params["Payload"])
	if err != nil {
		return m, err
	}
	var inner struct {
		Type          string          `json:"MessageType"`
		CorrelationID string          `json:"CorrelationId"`
		ReplyTopic    string          `json:"RespondToTopic"`
		Payload       json.RawMessage `json:"Payload"`
	}
	if json.Unmarshal(m.Payload, &inner) == nil && inner.Type != "" && len(inner.Payload) > 0 {
		m.Type, m.CorrelationID, m.ReplyTopic, m.Payload = inner.Type, inner.CorrelationID, inner.ReplyTopic, inner.Payload
	}
	return m, nil
}

func typeFor(topic string) string {
	first, _, _ := strings.Cut(topic, "/")
	switch {
	case topic == wire.TopicEvents:
		return wire.TypeEvent
	case topic == wire.TopicJobService:
		return wire.TypeTriggerJob
	case first == wire.TopicReplies:
		return wire.TypeFinalAnswer
	}
	return wire.TypeLog
}

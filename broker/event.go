package broker

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// bare are the messages that scripts send without an envelope, by topic: the keys
// by one of which such a message is known, and what of it is the payload; nil is
// all of it, since whoever answers says what is wrong with it.
var bare = map[string]struct {
	messageType string
	keys, keep  []string
}{
	wire.TopicEvents:     {wire.TypeEvent, []string{"EventName"}, []string{"EventName", "Context"}},
	wire.TopicJobService: {wire.TypeTriggerJob, []string{"JobId"}, []string{"JobId", "Context"}},
	wire.TopicPolicy:     {wire.TypePolicyRequest, []string{"EventType", "User", "UserName", "Application", "FilePath", "CommandLine"}, nil},
}

// enveloped returns what goes on when from publishes payload on topic. An event, a
// question or the wish for a run may come flat, without an envelope, and without a
// Source or MessageId (decision 24a); those who hear it get one envelope all the same. Whatever
// else is missing is left to check.
func enveloped(from core.Principal, topic string, payload []byte) []byte {
	form, may := bare[topic]
	if !may || from.Kind == core.Service {
		return payload
	}
	var m wire.RequestMessage
	// Of two keys that differ in letter case, one would be lost here unseen.
	if json.Unmarshal(payload, &m) != nil || m.Type != "" && m.Source != "" && m.MessageID != "" || unambiguous(payload) != nil {
		return payload
	}
	var content any = m.Payload
	switch flat := m.Type == "" && (len(m.Payload) == 0 || form.keep != nil); {
	case flat:
		fields := flatten(payload, form.keys, form.keep)
		if fields == nil {
			return payload
		}
		content = fields
	case m.Type != form.messageType || len(m.Payload) == 0:
		return payload
	}
	whole, err := wire.New(form.messageType, cmp.Or(m.Source, from.String()), content)
	if err != nil {
		return payload
	}
	whole.MessageID = cmp.Or(m.MessageID, whole.MessageID)
	whole.CorrelationID, whole.ReplyTopic = m.CorrelationID, m.ReplyTopic
	if !m.Timestamp.IsZero() {
		whole.Timestamp = m.Timestamp
	}
	data, err := whole.Encode()
	if err != nil {
		return payload
	}
	return data
}

// flatten returns the fields of a flat message that are its payload, with the names
// of keep as they are written there; nil if it has nothing under any of keys, or,
// where it is not kept whole, no text. The published text has an event name and a
// payload: a Payload is the Context if there is no other.
func flatten(payload []byte, keys, keep []string) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return nil
	}
	kept, known := map[string]json.RawMessage{}, false
	for name, value := range fields {
		var text string
		named := slices.ContainsFunc(keys, func(key string) bool { return strings.EqualFold(name, key) })
		known = known || named && (keep == nil || json.Unmarshal(value, &text) == nil && text != "")
		if keep == nil {
			kept[name] = value
		}
		for _, wanted := range keep {
			if strings.EqualFold(name, wanted) {
				kept[wanted] = value
			}
		}
	}
	if !known {
		return nil
	}
	for name, value := range fields {
		if _, given := kept["Context"]; keep != nil && !given && strings.EqualFold(name, "Payload") {
			kept["Context"] = value
		}
	}
	return kept
}

// logged returns what goes on when from publishes payload on topic, if that is
// for the log.
func (b *Broker) logged(from core.Principal, topic string, payload []byte) []byte {
	if topic != wire.TopicLogger || b.cfg.Logged == nil {
		return payload
	}
	return b.cfg.Logged(from.String(), payload)
}

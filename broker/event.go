package broker

import (
	"cmp"
	"encoding/json"

	"kpm/core"
	"kpm/core/wire"
)

// enveloped returns what goes on when from publishes payload on topic. An event
// may come flat, as EventName and Context, and without a Source (decision 24a);
// those who hear it get one envelope all the same. Whatever else is missing is
// left to check.
func enveloped(from core.Principal, topic string, payload []byte) []byte {
	if topic != wire.TopicEvents {
		return payload
	}
	var m struct {
		wire.RequestMessage
		Name    string          `json:"EventName"`
		Context json.RawMessage `json:"Context"`
	}
	// Of two keys that differ in letter case, one would be lost here unseen.
	if json.Unmarshal(payload, &m) != nil || unambiguous(payload) != nil {
		return payload
	}
	flat := m.Type == "" && len(m.Payload) == 0 && m.Name != ""
	if !flat && (m.Type != wire.TypeEvent || m.Source != "") {
		return payload
	}
	var event any = m.Payload
	if flat {
		event = struct {
			Name    string          `json:"EventName"`
			Context json.RawMessage `json:"Context,omitempty"`
		}{m.Name, m.Context}
	}
	whole, err := wire.New(wire.TypeEvent, cmp.Or(m.Source, from.String()), event)
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

// logged returns what goes on when from publishes payload on topic, if that is
// for the log.
func (b *Broker) logged(from core.Principal, topic string, payload []byte) []byte {
	if topic != wire.TopicLogger || b.cfg.Logged == nil {
		return payload
	}
	return b.cfg.Logged(from.String(), payload)
}

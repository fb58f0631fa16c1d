package wire

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"kpm/core"
)

// MaxMessage is the largest message the bus carries, in bytes.
const MaxMessage = 1 << 20

// Message types (docs/wire.md, "Message types").
const (
	TypePolicyRequest  = "PolicyRequest"
	TypePolicyResponse = "PolicyResponse"
	TypeEvent          = "CustomEvent"
	TypeJobCompleted   = "JobCompleted"
	TypeFinalAnswer    = "FinalAnswer"
	TypeLog            = "Log"
	TypePing           = "Ping"            // to a plugin with livenessPing: it is to publish something
	TypeSettings       = "SettingsChanged" // to a plugin: names of settings that have another value now
	TypeNotice         = "Notice"
	TypeTriggerJob     = "TriggerJob"
	TypeApproval       = "ApprovalRequest" // what has become of an approval, on RequestApproval
)

// ErrMalformed is wrapped by every error that Decode and the payload readers
// return.
var ErrMalformed = core.NewError(core.Invalid, "malformed message")

// RequestMessage is the envelope (decision 24a).
type RequestMessage struct {
	MessageID     string          `json:"MessageId"`
	Type          string          `json:"MessageType"`
	Source        string          `json:"Source"`
	Timestamp     time.Time       `json:"Timestamp"`
	CorrelationID string          `json:"CorrelationId,omitempty"`
	ReplyTopic    string          `json:"RespondToTopic,omitempty"`
	Payload       json.RawMessage `json:"Payload"`
}

// New wraps payload in a fresh envelope from source.
func New(messageType, source string, payload any) (RequestMessage, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return RequestMessage{}, fmt.Errorf("wire: encode %s: %w", messageType, err)
	}
	return RequestMessage{
		MessageID: rand.Text(),
		Type:      messageType,
		Source:    source,
		Timestamp: time.Now().UTC(),
		Payload:   body,
	}, nil
}

// Encode returns m as it travels.
func (m RequestMessage) Encode() ([]byte, error) {
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("wire: encode %s: %w", m.Type, err)
	}
	if len(data) > MaxMessage {
		return nil, fmt.Errorf("wire: %s is %d bytes, the limit is %d: %w", m.Type, len(data), MaxMessage, ErrMalformed)
	}
	return data, nil
}

// Decode reads an envelope. Unknown keys are ignored; type and payload must be
// there.
func Decode(data []byte) (RequestMessage, error) {
	var m RequestMessage
	if len(data) > MaxMessage {
		return m, fmt.Errorf("wire: message of %d bytes, the limit is %d: %w", len(data), MaxMessage, ErrMalformed)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("wire: %w: %w", ErrMalformed, err)
	}
	if m.Type == "" || len(m.Payload) == 0 {
		return m, fmt.Errorf("wire: MessageType and Payload are required: %w", ErrMalformed)
	}
	return m, nil
}

// Read decodes the payload of m, which must have the given type, into into.
func (m RequestMessage) Read(messageType string, into any) error {
	if m.Type != messageType {
		return fmt.Errorf("wire: MessageType is %q, expected %q: %w", m.Type, messageType, ErrMalformed)
	}
	if err := json.Unmarshal(m.Payload, into); err != nil {
		return fmt.Errorf("wire: %s: %w: %w", messageType, ErrMalformed, err)
	}
	return nil
}

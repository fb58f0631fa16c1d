package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"kpm/core"
	"kpm/core/strictjson"
	"kpm/core/wire"
)

// kind is a message type as the authority table tells them apart, in its words.
type kind string

const (
	noKind          kind = ""
	question        kind = "`PolicyRequest`"
	ownQuestion     kind = "`PolicyRequest` without `RequestId`"
	answer          kind = "`PolicyResponse`"
	eventPending    kind = "`CustomEvent` `PolicyEvaluationPending`"
	eventLaunch     kind = "`CustomEvent` `LaunchPrivilegeElevation`"
	eventStartup    kind = "`CustomEvent` `Startup`"
	eventGrant      kind = "`CustomEvent` `ApprovalRequested`, `LaunchApprovedRequest`, `GrantFileAccess`, `LaunchFileAccess` or `LeastPrivilegeNotice`"
	eventOther      kind = "`CustomEvent` with another name"
	jobCompleted    kind = "`JobCompleted`"
	triggerJob      kind = "`TriggerJob`"
	finalAnswer     kind = "`FinalAnswer`"
	approvalRequest kind = "`ApprovalRequest`"
)

// plain is k for people, who have not read the table.
func (k kind) plain() string {
	return strings.TrimSuffix(string(k), " with another name")
}

// classify reads m's payload as its type demands and returns what kind of
// message it is and which request it is about.
func classify(m wire.RequestMessage) (kind, core.RequestID, error) {
	switch m.Type {
	case wire.TypePolicyRequest:
		var q wire.PolicyRequest
		if err := m.Read(m.Type, &q); err != nil && !misread(m.Payload, err) {
			return noKind, "", err
		}
		return kindOfQuestion(q.RequestID, q.SealDigest)
	case wire.TypePolicyResponse:
		var a wire.PolicyResponse
		err := m.Read(m.Type, &a)
		return answer, a.RequestID, err
	case wire.TypeEvent:
		var e wire.Event
		if err := m.Read(m.Type, &e); err != nil {
			return noKind, "", err
		}
		id, _ := e.Context["RequestId"].(string)
		return kindOfEvent(e.Name, core.RequestID(id))
	case wire.TypeApproval:
		return approvalRequest, "", nil
	case wire.TypeJobCompleted:
		var done wire.JobCompleted
		err := m.Read(m.Type, &done)
		return jobCompleted, "", err
	case wire.TypeTriggerJob:
		var t wire.TriggerJob
		err := m.Read(m.Type, &t)
		return triggerJob, "", err
	case wire.TypeFinalAnswer:
		return finalAnswer, "", nil // its payload is the job's own business
	}
	return noKind, "", fmt.Errorf("MessageType %q is not one of this topic", brief(m.Type))
}

// classifyOwn is classify for what the service says itself. It has just encoded that, so
// what is not asked for here need not be read.
func classifyOwn(m wire.RequestMessage) (kind, core.RequestID, error) {
	switch m.Type {
	case wire.TypePolicyRequest:
		var q struct {
			RequestID  core.RequestID `json:"RequestId"`
			SealDigest string
		}
		if err := m.Read(m.Type, &q); err != nil {
			return noKind, "", err
		}
		return kindOfQuestion(q.RequestID, q.SealDigest)
	case wire.TypeEvent:
		var e struct {
			Name    string `json:"EventName"`
			Context map[string]json.RawMessage
		}
		if err := m.Read(m.Type, &e); err != nil {
			return noKind, "", err
		}
		var id string
		_ = json.Unmarshal(e.Context["RequestId"], &id) // what is no text is no id
		return kindOfEvent(e.Name, core.RequestID(id))
	case wire.TypeJobCompleted:
		return jobCompleted, "", nil // every one is the service's
	}
	return classify(m)
}

func kindOfQuestion(id core.RequestID, seal string) (kind, core.RequestID, error) {
	if id == "" && seal == "" {
		return ownQuestion, "", nil
	}
	return question, id, nil
}

// misread reports whether err says no more than that a field of a question has a
// value of another type than it should. KeeperPolicy names that field to whoever
// asks. A question that names a request, however it writes that, is refused here:
// who may ask one is found by what was read of it.
func misread(payload json.RawMessage, err error) bool {
	var unfit *json.UnmarshalTypeError
	if !errors.As(err, &unfit) {
		return false
	}
	var sealed struct {
		RequestID  json.RawMessage `json:"RequestId"`
		SealDigest json.RawMessage
	}
	return json.Unmarshal(payload, &sealed) != nil || len(sealed.RequestID)+len(sealed.SealDigest) == 0
}

// kindOfEvent ignores letter case: a reader that does too must not take a
// plugin's "startup" for the service's.
func kindOfEvent(name string, id core.RequestID) (kind, core.RequestID, error) {
	switch {
	case name == "":
		return noKind, "", fmt.Errorf("EventName is missing: %w", wire.ErrMalformed)
	case strings.EqualFold(name, wire.EventPolicyEvaluationPending):
		return eventPending, id, nil
	case strings.EqualFold(name, wire.EventLaunch):
		return eventLaunch, id, nil
	case strings.EqualFold(name, wire.EventStartup):
		return eventStartup, "", nil
	case wire.GrantEvent(name):
		return eventGrant, "", nil
	}
	return eventOther, "", nil
}

var errAmbiguous = errors.New("two keys of one object differ at most in letter case")

// unambiguous refuses valid JSON in which some object has two keys that differ
// at most in letter case. Of {"EventName": ..., "eventname": ...} this package
// would check the one and another reader might obey the other.
func unambiguous(data []byte) error {
	if strictjson.Ambiguous(data) {
		return fmt.Errorf("%w: %w", wire.ErrMalformed, errAmbiguous)
	}
	return nil
}

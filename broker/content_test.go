package broker

import (
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// What the service says of itself is of the kind that anybody else would find.
func TestTheServicesOwnMessagesAreClassifiedAlike(t *testing.T) {
	for _, payload := range []struct {
		messageType string
		content     any
	}{
		{wire.TypePolicyRequest, wire.PolicyRequest{RequestID: "R1", SealDigest: "s", UserName: "ada"}},
		{wire.TypePolicyRequest, wire.PolicyRequest{SealDigest: "s"}},
		{wire.TypePolicyRequest, wire.Probe()},
		{wire.TypeEvent, wire.Event{Name: wire.EventLaunch, Context: map[string]any{"RequestId": core.RequestID("R1"), "requestid": "R2", "N": 5}}},
		{wire.TypeEvent, wire.Event{Name: "policyevaluationpending", Context: map[string]any{"RequestId": 5}}},
		{wire.TypeEvent, wire.Event{Name: wire.EventStartup}},
		{wire.TypeEvent, wire.Event{Name: wire.EventApprovalRequested, Context: map[string]any{"RequestId": nil}}},
		{wire.TypeEvent, wire.Event{Name: "Other", Context: map[string]any{}}},
		{wire.TypeEvent, wire.Event{}},
		{wire.TypeEvent, 5},
		{wire.TypeJobCompleted, wire.JobCompleted{JobID: "j", RequestID: "R1"}},
		{wire.TypeTriggerJob, wire.TriggerJob{}},
		{wire.TypeFinalAnswer, "done"},
		{wire.TypeApproval, map[string]any{}},
		{"Other", 5},
	} {
		m, err := wire.New(payload.messageType, core.ServicePrincipal().String(), payload.content)
		if err != nil {
			t.Fatal(err)
		}
		kind, id, err := classifyOwn(m)
		wantKind, wantID, wantErr := classify(m)
		if kind != wantKind || id != wantID || (err == nil) != (wantErr == nil) {
			t.Errorf("%s %s: %v %q %v, want %v %q %v", m.Type, m.Payload, kind, id, err, wantKind, wantID, wantErr)
		}
	}
}

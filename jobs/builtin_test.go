package jobs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

func TestBuiltinParametersAreFilledInAfterParsing(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "see", "parameters": {"Text": "x{Value}", "N": 1, "Deep": {"List": ["{Value}"]}}, "arguments": "one '{Value}'"}`)})
	var got map[string]any
	h.cfg.Builtins["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		got = params
		return map[string]any{"Leak": "x"}, nil
	}
	h.reload()
	const value = `", "N": 2, "y": "`
	if err := h.runNow("j", map[string]any{"Value": value}); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"Text": "x" + value, "N": 1.0, "Deep": map[string]any{"List": []any{value}}, "arguments": []string{"one", value}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestLogMessage(t *testing.T) {
	for _, tc := range []struct {
		params map[string]any
		want   string // of the log, or of the error
	}{
		{map[string]any{"Message": "hello\nERROR forged"}, `level=INFO msg="hello�ERROR forged" job=j run=r`},
		{map[string]any{"Message": "m", "Level": "warning"}, "level=WARN msg=m"},
		{map[string]any{"Message": "m", "Level": "Critical"}, "level=ERROR+4"},
		{map[string]any{"Message": "m", "Level": "loud"}, `parameter Level is "loud", expected Trace`},
		{map[string]any{"Message": "m", "Level": 3.0}, "parameter Level is missing, expected Trace"},
		{map[string]any{"Message": 1.0}, "parameter Message: expected text"},
		{nil, "parameter Message: expected text"},
	} {
		var out bytes.Buffer
		_, err := LogMessage(slog.New(slog.NewTextHandler(&out, nil)))(context.Background(), core.Principal{Kind: core.JobRun, Name: "j", Run: "r"}, tc.params)
		text := out.String()
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, tc.want) {
			t.Errorf("%v: got %s, want ... %s", tc.params, text, tc.want)
		}
	}
}

func TestPublishMQTT(t *testing.T) {
	run := core.Principal{Kind: core.JobRun, Name: "j", Run: "r"}
	declared := []string{"KeeperLogger", "Jobs/j/+", "#"}
	for _, tc := range []struct {
		name   string
		topic  any
		only   []string // what the job declares instead
		want   string
		silent bool
	}{
		{"declared", "KeeperLogger", declared[:2], "", false},
		{"declared by a wildcard", "Jobs/j/events", declared[:2], "", false},
		{"not declared", "Jobs/k/events", declared[:2], "topic Jobs/k/events is not in mqttTopics.allowedPublications of job j", true},
		{"nothing declared", "KeeperLogger", nil, "is not in mqttTopics.allowedPublications", true},
		{"a wildcard", "Jobs/+/events", declared, `parameter Topic is "Jobs/+/events", expected a topic without wildcards`, true},
		{"missing", nil, declared, "parameter Topic is missing", true},
		// Attack: a job's task speaks with the service's authority.
		{"policy", "KeeperPolicy", declared, "topic KeeperPolicy is for the service's own messages", true},
		{"events", "EventMessages", declared, "for the service's own messages", true},
		{"job service", "JobService", declared, "for the service's own messages", true},
		{"a reply", "Replies/KeeperPrivilegeManager/R1", declared, "for the service's own messages", true},
		{"below a topic of authority", "EventMessages/x", declared, "for the service's own messages", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var sent []wire.RequestMessage
			publish := PublishMQTT(
				func(string) (publish, subscribe []string) { return tc.only, nil },
				func(_ context.Context, topic string, m wire.RequestMessage) error {
					if topic != tc.topic {
						t.Errorf("published on %s", topic)
					}
					sent = append(sent, m)
					return nil
				})
			_, err := publish(context.Background(), run, map[string]any{"Topic": tc.topic, "Payload": map[string]any{"Level": "Information", "Message": "m"}})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if tc.silent != (len(sent) == 0) {
				t.Errorf("sent %+v", sent)
			}
			if !tc.silent && (sent[0].Type != wire.TypeLog || sent[0].Source != "KeeperPrivilegeManager" || string(sent[0].Payload) != `{"Level":"Information","Message":"m"}`) {
				t.Errorf("sent %+v", sent[0])
			}
		})
	}
}

func TestPromptJustification(t *testing.T) {
	refused := errors.New("refused")
	for _, tc := range []struct {
		name    string
		request core.RequestID
		list    any
		answer  error
		asked   bool
		want    string
	}{
		{"asked for", "R1", `["JUSTIFY"]`, nil, true, ""},
		{"asked for among others", "R1", `["MFA","JUSTIFY"]`, nil, true, ""},
		{"and refused", "R1", `["JUSTIFY"]`, refused, true, "refused"},
		{"not asked for", "R1", `["MFA"]`, nil, false, ""},
		{"without a request", "", `["JUSTIFY"]`, nil, false, "this run was not started for a request"},
		{"without a list", "R1", nil, nil, false, "parameter ControlList is missing"},
		{"with another list", "R1", `JUSTIFY`, nil, false, `parameter ControlList is "JUSTIFY"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run := core.Principal{Kind: core.JobRun, Name: "j", Run: "r", Request: tc.request}
			asked := false
			prompt := PromptJustification(func(_ context.Context, from core.Principal, id core.RequestID) error {
				asked = from == run && id == tc.request
				return tc.answer
			})
			_, err := prompt(context.Background(), run, map[string]any{"ControlList": tc.list})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) || asked != tc.asked {
				t.Errorf("got %v, asked %v", err, asked)
			}
		})
	}
}

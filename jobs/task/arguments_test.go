package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// heard is a bus with these subscribers.
type heard struct {
	topics []string
	said   []string // "topic type payload"
}

func (h *heard) PublishAs(_ context.Context, _ core.Principal, topic string, payload []byte) error {
	m, err := wire.Decode(payload)
	h.said = append(h.said, fmt.Sprintf("%s %s %s", topic, m.Type, m.Payload))
	return err
}

func (h *heard) Publish(_ context.Context, topic string, m wire.RequestMessage) error {
	h.said = append(h.said, fmt.Sprintf("%s %s %s", topic, m.Type, m.Payload))
	return nil
}

func (h *heard) Heard(topic string) bool { return strings.Contains(strings.Join(h.topics, " "), topic) }

// Built-ins take their parameters from "arguments", too.
func TestArgumentsOfBuiltins(t *testing.T) {
	bus := &heard{topics: []string{"KeeperClient", "RequestApproval"}}
	var log strings.Builder
	commands := BundledCommands(slog.New(slog.NewTextHandler(&log, nil)), bus, nil, nil)
	run := &playedRun{principal: core.Principal{Kind: core.JobRun, Name: "j", Run: "r"}, values: map[string]string{"V": "a b --Level=x", "UserName": "ann", "SessionId": "c1"}}
	for _, tc := range []struct {
		text  string
		found map[string]any
		said  string
		err   string
	}{
		{`"command": "echo", "arguments": "one '{V}' --Depth=3"`, map[string]any{"Message": "one a b --Level=x", "Depth": "3"}, "", ""},
		{`"command": "echo", "parameters": {"Message": "kept"}, "arguments": "--other=x"`, map[string]any{"Message": "kept", "other": "x"}, "", ""},
		{`"command": "log-message", "arguments": "--level=Warning '{V}'"`, nil, `level=WARN msg="a b --Level=x"`, ""},
		{`"command": "log-message"`, nil, "", "parameter Message"},
		{`"command": "publish-mqtt", "arguments": "Jobs/j/events done with {V}"`, nil, `Jobs/j/events Log "done with a b --Level=x"`, ""},
		{`"command": "publish-mqtt", "arguments": "KeeperLogger '{\"Level\": \"Warning\", \"Message\": \"m\"}'"`, nil, `KeeperLogger Log {"Level":"Warning","Message":"m"}`, ""},
		{`"command": "publish-mqtt", "arguments": "--EventName=Found --Context={\"A\":1}"`, nil, `EventMessages CustomEvent {`, ""},
		{`"command": "display-message", "arguments": "--Title=T hello"`, nil, `KeeperClient Notice {"Kind":"message","Title":"T","Message":"hello","UserName":"ann","SessionId":"c1","JobId":"j"}`, ""},
		{`"command": "show-toast", "parameters": {"Message": "m\u001b", "UserName": "bob"}`, nil, `"Kind":"toast","Message":"m`, ""},
		{`"command": "show-toast"`, nil, "", "parameter Message"},
		{`"command": "check-approval-provider"`, map[string]any{"ApprovalProviderAvailable": true}, "", ""},
		{`"command": "check-approval-provider", "arguments": "x"`, nil, "", `"x" is one word too many`},
	} {
		bus.said = nil
		log.Reset()
		found, err := compile(t, Kinds{Builtin(commands)}, "Service", "{"+tc.text+"}").Run(t.Context(), run)
		if tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) || tc.err == "" && err != nil || !reflect.DeepEqual(found, tc.found) {
			t.Errorf("%s: %v, %v", tc.text, found, err)
		}
		if all := strings.Join(bus.said, "\n") + log.String(); !strings.Contains(all, tc.said) {
			t.Errorf("%s said %s", tc.text, all)
		}
	}
	bus.topics = nil
	for command, want := range map[string]error{"display-message": errUnseen, "show-toast": errUnseen, "check-approval-provider": errNoApprover} {
		if _, err := compile(t, Kinds{Builtin(commands)}, "Service", `{"command": "`+command+`", "parameters": {"Message": "m"}}`).Run(t.Context(), run); !errors.Is(err, want) {
			t.Errorf("%s with nobody there: %v", command, err)
		}
	}
}

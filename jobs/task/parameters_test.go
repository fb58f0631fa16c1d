package task

import (
	"context"
	"log/slog"
	"reflect"
	"slices"
	"testing"
	"unicode/utf8"

	"kpm/core"
)

// sees is a built-in that shows what parameters it is run with.
func sees(t *testing.T, command string) func(fields string, r Run) (map[string]any, error) {
	var got map[string]any
	kinds := Kinds{Builtin(Commands{command: func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		got = params
		return nil, nil
	}})}
	return func(fields string, r Run) (map[string]any, error) {
		got = nil
		_, err := compile(t, kinds, "Service", `{"command": "`+command+`", `+fields+`}`).Run(t.Context(), r)
		return got, err
	}
}

func TestNamesOfParametersAreReadInAnyLetterCase(t *testing.T) {
	run := &playedRun{values: map[string]string{"UserName": "ann", "SessionId": "c1", "ControlList": `["MFA"]`}}
	for _, tc := range []struct {
		command, fields string
		want            map[string]any
	}{
		{"log-message", `"parameters": {"message": "m", "LEVEL": "Warning"}`, map[string]any{"Message": "m", "Level": "Warning"}},
		{"log-message", `"arguments": "--message=m --level=Warning"`, map[string]any{"Message": "m", "Level": "Warning"}},
		{"publish-mqtt", `"parameters": {"topic": "T", "payload": {"kept": 1}, "messageType": "M"}`, map[string]any{"Topic": "T", "Payload": map[string]any{"kept": 1.0}, "MessageType": "M"}},
		{"publish-mqtt", `"parameters": {"eventName": "E", "context": {"a": "b"}}`, map[string]any{"EventName": "E", "Context": map[string]any{"a": "b"}}},
		{"show-toast", `"parameters": {"message": "m", "userName": "bob"}`, map[string]any{"Message": "m", "UserName": "bob", "SessionId": "c1"}},
		{"display-message", `"parameters": {"title": "t"}, "arguments": "m"`, map[string]any{"Message": "m", "Title": "t", "UserName": "ann", "SessionId": "c1"}},
		// What echo is told is what it finds.
		{"echo", `"parameters": {"message": "m", "level": 1}`, map[string]any{"message": "m", "level": 1.0}},
		{"echo", `"arguments": "--level=1 --message=m"`, map[string]any{"level": "1", "message": "m"}},
		{"await-approval", `"parameters": {"controlList": "[]"}`, map[string]any{"ControlList": "[]"}},
		{"prompt-mfa", `"arguments": "{ControlList}"`, map[string]any{"ControlList": `["MFA"]`}},
		{"prompt-justification", `"arguments": "--controlList={ControlList}"`, map[string]any{"ControlList": `["MFA"]`}},
		{"prompt-mfa", `"parameters": {}`, map[string]any{"ControlList": `["MFA"]`}},
	} {
		if got, err := sees(t, tc.command)(tc.fields, run); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s with %s: %v, %v; want %v", tc.command, tc.fields, got, err, tc.want)
		}
	}
}

// The value of a token may come from somebody whom the job's author does not trust, such
// as the name of a file that a task has found.
func TestAValueNeverBecomesParametersOrJSON(t *testing.T) {
	const hostile = `a"},"EventName":"Other","Context":{"x":"--Topic=Other`
	run := &playedRun{values: map[string]string{"V": hostile, "Option": "--Topic=Other", "N": "5", "List": `["a"]`, "Object": `{"A":"b"}`}}
	event := map[string]any{"EventName": "E", "Context": map[string]any{"Path": hostile}}
	for _, tc := range []struct {
		fields string
		want   map[string]any
	}{
		{`"arguments": "EventMessages '{\"EventName\": \"E\", \"Context\": {\"Path\": \"{V}\"}}'"`, map[string]any{"Topic": "EventMessages", "Payload": event}},
		{`"arguments": "EventMessages '{\"EventName\": \"E\", \"Context\": {\"Path\": {V}}}'"`, map[string]any{"Topic": "EventMessages", "Payload": event}},
		{`"arguments": "--Topic=EventMessages --Payload='{\"EventName\": \"E\", \"Context\": {\"Path\": \"{V}\"}}'"`, map[string]any{"Topic": "EventMessages", "Payload": event}},
		{`"parameters": {"Topic": "EventMessages", "Payload": "{\"EventName\": \"E\", \"Context\": {\"Path\": \"{V}\"}}"}`, map[string]any{"Topic": "EventMessages", "Payload": event}},
		{`"parameters": {"EventName": "E", "Context": "{\"Path\": \"{V}\"}"}`, map[string]any{"EventName": "E", "Context": map[string]any{"Path": hostile}}},
		{`"arguments": "KeeperLogger {Option}"`, map[string]any{"Topic": "KeeperLogger", "Payload": "--Topic=Other"}},
		{`"arguments": "KeeperLogger found {Option} {V}"`, map[string]any{"Topic": "KeeperLogger", "Payload": "found --Topic=Other " + hostile}},
		// A backslash that has no partner in the file does not take the value's.
		{`"arguments": "T '{\"Path\": \"C:\\{V}\"}'"`, map[string]any{"Topic": "T", "Payload": `{"Path": "C:\` + hostile + `"}`}},
		{`"arguments": "T '{\"N\": {N}, \"List\": {List}, \"Text\": \"{N}\"}'"`, map[string]any{"Topic": "T", "Payload": map[string]any{"N": 5.0, "List": []any{"a"}, "Text": "5"}}},
		// The file leaves it to the value what is published.
		{`"arguments": "T {Object}"`, map[string]any{"Topic": "T", "Payload": map[string]any{"A": "b"}}},
		{`"arguments": "T '{ no json {V}'"`, map[string]any{"Topic": "T", "Payload": "{ no json " + hostile}},
		{`"parameters": {"Topic": "T", "Payload": "{Object}"}`, map[string]any{"Topic": "T", "Payload": `{"A":"b"}`}},
	} {
		if got, err := sees(t, "publish-mqtt")(tc.fields, run); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n%v, %v\nwant %v", tc.fields, got, err, tc.want)
		}
	}
}

// What a task says for the log has no secret in it; what it says to others is its own.
func TestSecretsAreNotLogged(t *testing.T) {
	run := &playedRun{secret: "hunter2", values: map[string]string{"Pw": "hunter2", "Topic": "KeeperLogger"}}
	for _, tc := range []struct {
		command, fields string
		want            map[string]any
	}{
		{"log-message", `"arguments": "it is {Pw}"`, map[string]any{"Message": "it is ***"}},
		{"log-message", `"parameters": {"message": "{Pw}"}`, map[string]any{"Message": "***"}},
		{"publish-mqtt", `"parameters": {"Topic": "{Topic}", "Payload": {"Message": "it is {Pw}", "Fields": {"a": ["{Pw}", 1]}}}`,
			map[string]any{"Topic": "KeeperLogger", "Payload": map[string]any{"Message": "it is ***", "Fields": map[string]any{"a": []any{"***", 1.0}}}}},
		{"publish-mqtt", `"arguments": "KeeperLogger {Pw}"`, map[string]any{"Topic": "KeeperLogger", "Payload": "***"}},
		{"publish-mqtt", `"arguments": "MyTool/Commands/login {Pw}"`, map[string]any{"Topic": "MyTool/Commands/login", "Payload": "hunter2"}},
		{"echo", `"parameters": {"Pw": "{Pw}"}`, map[string]any{"Pw": "hunter2"}},
	} {
		if got, err := sees(t, tc.command)(tc.fields, run); err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s with %s: %v, %v; want %v", tc.command, tc.fields, got, err, tc.want)
		}
	}
}

func TestEveryBundledCommandHasAForm(t *testing.T) {
	controls := map[string]core.Control{"prompt-mfa": core.ControlMFA, "prompt-justification": core.ControlJustify, "await-approval": core.ControlApproval}
	for command := range BundledCommands(slog.New(slog.DiscardHandler), nil, controls, nil) {
		f, ok := formOf(command)
		if !ok {
			t.Errorf("%s has no form: its arguments would be nothing", command)
		}
		for _, name := range slices.Concat(f.objects, f.supplied) {
			if !slices.Contains(slices.Concat(f.words, f.others), name) {
				t.Errorf("%s: %s is none of its parameters", command, name)
			}
		}
	}
}

func FuzzParametersKeepTheirShape(f *testing.F) {
	f.Add(`a"},"b":"`)
	f.Add(`\`)
	f.Add(`--Topic=x`)
	f.Fuzz(func(t *testing.T, value string) {
		run := &playedRun{values: map[string]string{"V": value}}
		got, err := sees(t, "publish-mqtt")(`"arguments": "T '{\"A\": \"{V}\", \"B\": [\"x{V}y\"]}'"`, run)
		if err != nil || !utf8.ValidString(value) {
			return // a NUL, or what JSON cannot say
		}
		payload, ok := got["Payload"].(map[string]any)
		if !ok || len(got) != 2 || len(payload) != 2 {
			t.Fatalf("%q made %v", value, got)
		}
		if payload["A"] != value {
			t.Errorf("%q became %q", value, payload["A"])
		}
	})
}

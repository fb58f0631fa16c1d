package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/strictjson"
)

// playedRun is a run that a test plays.
type playedRun struct {
	principal core.Principal
	values    map[string]string
	held      []string
	secret    string // is masked
	local     http.RoundTripper
	report    Report
}

func (r *playedRun) Report(report Report) { r.report = report }

func (r *playedRun) Principal() core.Principal { return r.principal }
func (r *playedRun) Value(token string) (string, error) {
	if value, ok := r.values[token]; ok {
		return value, nil
	}
	return "", fmt.Errorf("unknown token {%s}", token)
}
func (r *playedRun) Environment() []string { return []string{"A=b"} }
func (r *playedRun) Masked(text string) string {
	if r.secret == "" {
		return text
	}
	return strings.ReplaceAll(text, r.secret, "***")
}
func (r *playedRun) Held() []string           { return r.held }
func (r *playedRun) Local() http.RoundTripper { return r.local }
func (r *playedRun) Log() *slog.Logger        { return slog.New(slog.DiscardHandler) }

// sourceOf is a task at a field of a job file.
func sourceOf(t testing.TB, field, text string) *Source {
	t.Helper()
	written, err := strictjson.Parse([]byte(text), len(text))
	if err != nil {
		t.Fatal(err)
	}
	return NewSource("j.json", field, written)
}

// compile compiles the task text, which must be sound, as one of kinds.
func compile(t *testing.T, kinds Kinds, executionType, text string) Task {
	t.Helper()
	source := sourceOf(t, "tasks[0]", text)
	compiled := kinds.Compile(executionType, source)
	if err := source.Faults().Err(); err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestBuiltinParametersAreFilledInAfterParsing(t *testing.T) {
	var got map[string]any
	see := func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		got = params
		return nil, nil
	}
	kinds := Kinds{Builtin(Commands{"see": see})}
	const value = `", "N": 2, "y": "`
	run := &playedRun{values: map[string]string{"Value": value}}
	for _, tc := range []struct {
		fields string
		want   map[string]any
	}{
		{`"parameters": {"Text": "x{Value}", "N": 1, "Deep": {"List": ["{Value}"]}}, "arguments": "one '{Value}'"`,
			map[string]any{"Text": "x" + value, "N": 1.0, "Deep": map[string]any{"List": []any{value}}, "arguments": []string{"one", value}}},
		{`"parameters": null, "arguments": "one"`, map[string]any{"arguments": []string{"one"}}},
		{`"parameters": {}`, map[string]any{}},
		{`"arguments": ""`, map[string]any{}},
	} {
		if _, err := compile(t, kinds, "service", `{"command": "see", `+tc.fields+`}`).Run(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: got %v\nwant %v", tc.fields, got, tc.want)
		}
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

func TestCollectControl(t *testing.T) {
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
			prompt := CollectControl(core.ControlJustify, func(_ context.Context, from core.Principal, id core.RequestID, _ core.Control) error {
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

package task

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kpm/settings"
)

// Whatever a value holds, it stays what it stands for: one argument, one JSON string, one
// word of a query, one segment of a path, one line of a header.
func FuzzSubstitution(f *testing.F) {
	for _, seed := range []string{"plain", `a b"c'd\`, "../..", "..", "", "{Other}", "\r\nX: y", `", "x": "`, "a/b?c#d&e=f", "%2e%2e", "ü\xff", "a\x00b", "$(id)`id`;|&"} {
		f.Add(seed)
	}
	args, err := settings.SplitArguments(`--x={V} '{V} y' z`)
	if err != nil {
		f.Fatal(err)
	}
	source := sourceOf(f, "tasks[0]", `{"url": "{KeeperApiBaseUrl}/a/{V}/b?q={V}&r=s", "method": "POST", "headers": {"X-V": "{V}"}, "body": {"v": "x{V}", "n": 1}}`)
	exchange := HTTP().Compile(source)
	if err := source.Faults().Err(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, value string) {
		run := &playedRun{values: map[string]string{"V": value, "Other": "other"}}
		for i, template := range args {
			got, err := template.Expand(Argument(run))
			want := []string{"--x=" + value, value + " y", "z"}[i]
			if err == nil && got != want || err != nil && !strings.Contains(value, "\x00") {
				t.Errorf("argument %d: %q, %v", i, got, err)
			}
		}
		var sent *http.Request
		run.local = roundTrip(func(r *http.Request) (*http.Response, error) {
			sent = r
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		})
		if _, err := exchange.Run(context.Background(), run); err != nil {
			if sent != nil {
				t.Errorf("sent, and %v", err)
			}
			return
		}
		if parts := strings.Split(sent.URL.EscapedPath(), "/"); len(parts) != 4 || parts[1] != "a" || parts[3] != "b" || parts[2] == ".." || parts[2] == "." {
			t.Errorf("path %q", sent.URL.EscapedPath())
		} else if back, err := url.PathUnescape(parts[2]); err != nil || back != value {
			t.Errorf("segment %q of %q", parts[2], value)
		}
		if q := sent.URL.Query(); len(q) != 2 || q.Get("q") != value || q.Get("r") != "s" || sent.URL.Fragment != "" {
			t.Errorf("query %q", sent.URL.RawQuery)
		}
		if v := sent.Header.Get("X-V"); strings.ContainsAny(v, "\r\n\x00") {
			t.Errorf("header %q", v)
		}
		var body map[string]any
		if err := json.NewDecoder(sent.Body).Decode(&body); err != nil || len(body) != 2 || body["v"] != "x"+strings.ToValidUTF8(value, "\ufffd") && !strings.Contains(body["v"].(string), "\ufffd") {
			t.Errorf("body %v %v", body, err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

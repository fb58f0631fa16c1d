package jobs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// seen is what a server was asked.
type seen struct {
	method, target, host, body string
	header                     http.Header
}

func recorder(into *[]seen, status int, answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*into = append(*into, seen{r.Method, r.RequestURI, r.Host, string(body), r.Header})
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}
}

func httpJob(fields string, root ...string) string {
	return jobJSON("j", `{"id": "call", "ExecutionType": "Http", `+fields+`}`, root...)
}

const evil = "a b\"&c=d#e/../%2e\\\n{UserName}\u2028é"

func TestALocalRequestGoesOverTheRunsOwnConnection(t *testing.T) {
	h := newHarness(t, map[string]string{"j": httpJob(`"url": "{KeeperApiBaseUrl}/api/launch?a={FilePath}", "body": {"RequestId": "{RequestId}", "n": 1.50, "list": ["{FilePath}"]}, "headers": {"x-kind": "{EventType}"}`, onLaunch)})
	var asked []seen
	h.api = recorder(&asked, 200, `{}`)
	h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1", "FilePath": evil, "EventType": "PrivilegeElevation"}))
	e := h.end(0)
	if e.err != nil {
		t.Fatal(e.err)
	}
	if len(h.asked) != 1 || h.asked[0] != e.run || e.run.Request != "R1" {
		t.Errorf("asked as %+v, the run is %+v", h.asked, e.run)
	}
	got := asked[0]
	if got.method != "POST" || got.host != "localhost" || got.header.Get("Content-Type") != "application/json" || got.header.Get("X-Kind") != "PrivilegeElevation" {
		t.Errorf("got %+v", got)
	}
	if want := "/api/launch?a=a+b%22%26c%3Dd%23e%2F..%2F%252e%5C%0A%7BUserName%7D%E2%80%A8%C3%A9"; got.target != want {
		t.Errorf("target %s\nwant   %s", got.target, want)
	}
	var body struct {
		RequestID string `json:"RequestId"`
		N         json.Number
		List      []string
	}
	if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.RequestID != "R1" || body.N != "1.50" || len(body.List) != 1 || body.List[0] != evil {
		t.Errorf("body %s: %+v, %v", got.body, body, err)
	}
}

// Attack: a value in a body closes its string and adds a field.
func TestAValueStaysInsideItsJSONString(t *testing.T) {
	for _, body := range []string{`{"RequestId": "R1", "Message": "{FilePath}"}`, `"{\"RequestId\": \"R1\", \"Message\": \"{FilePath}\"}"`} {
		h := newHarness(t, map[string]string{"j": httpJob(`"url": "{KeeperApiBaseUrl}/x", "body": ` + body)})
		var asked []seen
		h.api = recorder(&asked, 200, "")
		const value = `", "RequestId": "R2", "x": "`
		if err := h.runNow("j", map[string]any{"FilePath": value}); err != nil {
			t.Fatal(err)
		}
		var got map[string]string
		if err := json.Unmarshal([]byte(asked[0].body), &got); err != nil || len(got) != 2 || got["RequestId"] != "R1" || got["Message"] != value {
			t.Errorf("%s became %s (%v)", body, asked[0].body, err)
		}
	}
}

// Attack: a value in a header ends its line and begins another header.
func TestAHeaderValueHasOneLine(t *testing.T) {
	h := newHarness(t, map[string]string{"j": httpJob(`"url": "{KeeperApiBaseUrl}/x", "headers": {"X-Name": "{UserName}"}`)})
	var asked []seen
	h.api = recorder(&asked, 200, "")
	for _, value := range []string{"a\r\nX-Evil: 1", "a\nb", "a\x00b"} {
		if err := h.runNow("j", map[string]any{"UserName": value}); err == nil || !strings.Contains(err.Error(), "header X-Name: the value holds a line end") {
			t.Errorf("%q: got %v", value, err)
		}
	}
	if len(asked) != 0 {
		t.Errorf("sent %+v", asked)
	}
}

func TestHeadersThatDecideTheConnectionAreRefused(t *testing.T) {
	for _, name := range []string{"Host", "host", "Content-Length", "transfer-encoding", "Connection", "Upgrade", "a b", "x:y", ""} {
		if _, err := compileText(t, "j", httpJob(fmt.Sprintf(`"url": "{KeeperApiBaseUrl}/x", "headers": {%q: "v"}`, name))); err == nil || !strings.Contains(err.Error(), "tasks[0].headers.") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestWhatCountsAsSuccess(t *testing.T) {
	problem := `{"type": "about:blank", "title": "Conflict", "status": 409, "detail": "request R1 is past this step", "code": "conflict"}`
	for _, tc := range []struct {
		name   string
		fields string
		status int
		answer string
		want   string
	}{
		{"200", ``, 200, "", ""},
		{"204", ``, 204, "", ""},
		{"problem details are told", ``, 409, problem, "POST http://localhost/x: status 409: Conflict: request R1 is past this step"},
		{"any text is told, made safe", ``, 500, "oops \x1b[2J\n", "status 500: oops \ufffd[2J"},
		{"a long text is cut", ``, 500, strings.Repeat("x", 5000), strings.Repeat("x", maxProblem) + "..."},
		{"named codes alone", `, "successCodes": [409]`, 409, problem, ""},
		{"and 200 is not among them", `, "successCodes": [409]`, 200, "", "status 200"},
		{"a redirect is not followed", ``, 302, "", "status 302"},
		{"a long answer", ``, 200, strings.Repeat("x", maxBody+1), "the response is longer than 1048576 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": httpJob(`"method": "post", "url": "{KeeperApiBaseUrl}/x"` + tc.fields)})
			h.api = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", "https://evil.example.com/")
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.answer)
			})
			err := h.runNow("j", nil)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v\nwant %q", err, tc.want)
			}
			if len(h.asked) != 1 {
				t.Errorf("%d requests were sent", len(h.asked))
			}
		})
	}
}

// A request to another machine carries nothing of ours: no local connection, no
// name of the product, no proxy from the environment.
func TestAnExternalRequestCarriesNoIdentity(t *testing.T) {
	var asked []seen
	server := httptest.NewServer(recorder(&asked, 200, ""))
	defer server.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1/")
	h := newHarness(t, map[string]string{"j": httpJob(fmt.Sprintf(`"url": "%s/hook?who={UserName}"`, server.URL))})
	if err := h.runNow("j", map[string]any{"UserName": "ann&admin=1"}); err != nil {
		t.Fatal(err)
	}
	if len(h.asked) != 0 {
		t.Error("the local API's connection was used")
	}
	got := asked[0]
	if got.method != "GET" || got.target != "/hook?who=ann%26admin%3D1" || got.header.Get("User-Agent") != "" || got.header.Get("Cookie") != "" || got.header.Get("Authorization") != "" {
		t.Errorf("got %+v", got)
	}
}

func TestAnExternalServerMustProveItsName(t *testing.T) {
	server := httptest.NewUnstartedServer(recorder(new([]seen), 200, ""))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	h := newHarness(t, map[string]string{"j": httpJob(fmt.Sprintf(`"url": "%s/"`, server.URL))})
	var unknown *tls.CertificateVerificationError
	if err := h.runNow("j", nil); !errors.As(err, &unknown) {
		t.Errorf("got %v", err)
	}
}

func TestALocalRequestEndsWithItsTask(t *testing.T) {
	for _, where := range []string{"before the answer", "in the answer"} {
		t.Run(where, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": httpJob(`"url": "{KeeperApiBaseUrl}/x", "timeoutSeconds": 1`)})
			h.api = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if where == "in the answer" {
					_, _ = io.WriteString(w, "half")
					w.(http.Flusher).Flush()
				}
				<-r.Context().Done()
			})
			if err := h.runNow("j", nil); !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(fmt.Sprint(err), "timeout") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTransportFailures(t *testing.T) {
	request := func(ctx context.Context) *http.Request {
		req, err := http.NewRequestWithContext(ctx, "POST", localOrigin+"/x", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		return req
	}
	t.Run("no connection", func(t *testing.T) {
		refused := errors.New("refused")
		rt := Transport(func(core.Principal) (net.Conn, error) { return nil, refused })(core.Principal{})
		if _, err := rt.RoundTrip(request(context.Background())); !errors.Is(err, refused) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a server that hangs up", func(t *testing.T) {
		rt := Transport(func(core.Principal) (net.Conn, error) {
			ours, theirs := net.Pipe()
			return ours, theirs.Close()
		})(core.Principal{})
		if _, err := rt.RoundTrip(request(context.Background())); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a server that does not read", func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		rt := Transport(func(core.Principal) (net.Conn, error) { return ours, nil })(core.Principal{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if _, err := rt.RoundTrip(request(ctx)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, err := ours.Write(nil); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the connection is still open: %v", err)
		}
	})
}

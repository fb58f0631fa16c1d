package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// seen is what a server was asked.
type seen struct {
	method, target, host, body string
	header                     http.Header
}

// recorder answers, and keeps what it was asked, also by several at once.
func recorder(into *[]seen, status int, answer string) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		*into = append(*into, seen{r.Method, r.RequestURI, r.Host, string(body), r.Header})
		mu.Unlock()
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

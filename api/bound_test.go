package api_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"kpm/api"
	"kpm/core"
)

// asBound sends a request as a job run, or whoever, and returns how that failed.
func asBound(p *place, who core.Principal, ctx context.Context, method, path, body string) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://keeper"+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := p.server.RoundTripper(who).RoundTrip(req)
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// Attack: whoever is not a job run has what would answer one.
func TestOnlyJobRunsAreAnswered(t *testing.T) {
	p := newPlace(t)
	for _, who := range []core.Principal{{}, user.who, root.who, {Kind: core.Plugin, Name: "x"}, core.ServicePrincipal()} {
		if err := asBound(p, who, t.Context(), "GET", "/health", ""); err == nil {
			t.Errorf("%s is answered", who)
		}
	}
	p.close()
	if err := asBound(p, run1, t.Context(), "GET", "/health", ""); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a closed server: %v", err)
	}
}

// A task that has no more time does not wait for its answer, which takes as long as it
// takes; the server waits for it when it is closed.
func TestAJobRunThatGivesUp(t *testing.T) {
	begun, end := make(chan bool), make(chan bool)
	p := newPlace(t, func(c *api.Config) { c.Requests = slowRequests{begun, end} })
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("no more time")
	go func() { <-begun; cancel(gone) }()
	if err := asBound(p, run1, ctx, "POST", "/api/launch", `{"RequestId":"`+string(request1)+`"}`); !errors.Is(err, gone) {
		t.Errorf("got %v", err)
	}
	closed := make(chan struct{})
	go func() { _ = p.server.Close(context.Background()); close(closed) }()
	select {
	case <-closed:
		t.Error("it is closed while a request is answered")
	case <-time.After(20 * time.Millisecond):
	}
	close(end)
	<-closed
}

// A job that waits for another run gets what happens in it, to its end.
func TestAJobRunFollowsAnother(t *testing.T) {
	p := newPlace(t)
	p.allow = []string{"GET /api/Jobs/runs/run-1/events"}
	maintenance := core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"}
	resp, err := p.server.RoundTripper(maintenance).RoundTrip(newRequest(t, "GET", "http://keeper/api/Jobs/runs/run-1/events", ""))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if n := strings.Count(string(text), "event: "); err != nil || resp.StatusCode != 200 || n != 2 {
		t.Errorf("%v %d %q", err, resp.StatusCode, text)
	}
}

// panicking is a launcher with a fault.
type panicking struct{ slowRequests }

func (panicking) Launch(context.Context, core.Principal, core.RequestID) error { panic("as asked") }

// A request that makes the service panic is not the service's end.
func TestAJobRunThatIsNotAnswered(t *testing.T) {
	p := newPlace(t, func(c *api.Config) { c.Requests = panicking{} })
	if err := asBound(p, run1, t.Context(), "POST", "/api/launch", `{"RequestId":"`+string(request1)+`"}`); err == nil {
		t.Error("no error")
	}
	if err := asBound(p, run1, t.Context(), "GET", "/health", ""); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

// closing is a request's body that says whether it was closed.
type closing struct {
	*strings.Reader
	closed chan bool
}

func (c closing) Close() error { c.closed <- true; return nil }

// Whoever sends a request need not close its body, whatever becomes of it; of what HEAD
// asks about, the length is told.
func TestBodiesOfJobRuns(t *testing.T) {
	p := newPlace(t)
	for _, who := range []core.Principal{run1, user.who} {
		body := closing{strings.NewReader("{}"), make(chan bool, 2)}
		req, err := http.NewRequest("POST", "http://keeper/api/launch", body)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := p.server.RoundTripper(who).RoundTrip(req); err == nil {
			resp.Body.Close()
		}
		select {
		case <-body.closed:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the body is not closed", who)
		}
	}
	lengths := map[string]int64{}
	for _, method := range []string{"GET", "HEAD"} {
		req, err := http.NewRequest(method, "http://keeper/health", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := p.server.RoundTripper(run1).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		lengths[method] = resp.ContentLength
		resp.Body.Close()
	}
	if lengths["HEAD"] <= 0 || lengths["HEAD"] != lengths["GET"] {
		t.Errorf("lengths are %v", lengths)
	}
}

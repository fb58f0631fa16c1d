package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// gated makes a built-in "gate" that waits until the test opens it, and notes who came,
// by parameter Who.
func gated(h *harness) (came func() []string, open chan struct{}) {
	open = make(chan struct{})
	var list []string
	h.commands["gate"] = func(ctx context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		h.mu.Lock()
		who, _ := params["Who"].(string)
		list = append(list, who)
		h.mu.Unlock()
		select {
		case <-open:
			return nil, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	h.reload()
	return func() []string {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Clone(list)
	}, open
}

const gate = `{"id": "g", "command": "gate", "parameters": {"Who": "{Who}"}}`

func (h *harness) states() string {
	var list []string
	for _, r := range h.history.all() {
		list = append(list, r.State)
	}
	return strings.Join(list, " ")
}

func TestConcurrency(t *testing.T) {
	for way, want := range map[string]struct{ first, then, states string }{
		"allow":   {"a b c", "a b c", "succeeded succeeded succeeded"},
		"queue":   {"a", "a b c", "succeeded succeeded succeeded"},
		"skip":    {"a", "a", "succeeded skipped skipped"},
		"replace": {"a b c", "a b c", "cancelled cancelled succeeded"},
	} {
		t.Run(way, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, map[string]string{"j": jobJSON("j", gate, `"concurrency": "`+way+`"`)})
				came, open := gated(h)
				for _, who := range []string{"a", "b", "c"} {
					_, err := h.Run(t.Context(), "j", map[string]any{"Who": who})
					if way == "skip" && who != "a" != errors.Is(err, errPrecedence) {
						t.Errorf("%s: %v", who, err)
					}
					synctest.Wait()
				}
				if got := strings.Join(came(), " "); got != want.first {
					t.Errorf("came %s, want %s", got, want.first)
				}
				for range 3 {
					select {
					case open <- struct{}{}:
					default:
					}
					synctest.Wait()
				}
				if got := strings.Join(came(), " "); got != want.then {
					t.Errorf("came %s at last, want %s", got, want.then)
				}
				if got := h.states(); got != want.states {
					t.Errorf("%s, want %s", got, want.states)
				}
				if err := h.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Where runs compete, higher priority comes first; a run for a request competes with
// nobody.
func TestPriorityAndTheGlobalBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{
			"low": jobJSON("low", gate, `"priority": 1`), "mid": jobJSON("mid", gate), "high": jobJSON("high", gate, `"priority": 10`),
			"launch": jobJSON("launch", `{"id": "g", "command": "gate", "parameters": {"Who": "launch"}}`, onLaunch, `"priority": 1`),
		})
		h.cfg.MaxRunning = 2
		came, open := gated(h)
		for _, id := range []string{"low", "low", "low", "mid", "high", "mid", "high"} {
			if _, err := h.Run(t.Context(), id, map[string]any{"Who": id}); err != nil {
				t.Fatal(err)
			}
		}
		h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1"}))
		synctest.Wait()
		if got := came(); len(got) != 3 || !slices.Contains(got, "launch") {
			t.Errorf("came %q", got)
		}
		if got := strings.Count(h.states(), "queued"); got != 5 {
			t.Errorf("%s", h.states())
		}
		for range 8 {
			select {
			case open <- struct{}{}:
			default:
			}
			synctest.Wait()
		}
		if got := strings.Join(came()[3:], " "); got != "high high mid mid low" {
			t.Errorf("then came %s", got)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A thousand events a second for a minute: none is lost, and the runs of a job begin in
// the order of its events.
func TestManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "n", "command": "note", "parameters": {"N": "{N}"}}`, onEvent("E"), `"concurrency": "queue"`)})
		var order []string
		h.commands["note"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
			order = append(order, params["N"].(string))
			return nil, nil
		}
		h.reload()
		const events = 60_000
		for n := range events {
			h.Trigger(event("E", map[string]any{"N": fmt.Sprint(n)}))
			if n%1000 == 999 {
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		for n, got := range order {
			if got != fmt.Sprint(n) {
				t.Fatalf("run %d is of event %s", n, got)
			}
		}
		if len(order) != events || len(h.ended) != events || len(h.unhandled) > 0 {
			t.Errorf("%d of %d, %d ended, unhandled %d", len(order), events, len(h.ended), len(h.unhandled))
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": jobJSON("j", gate+", "+stepJSON("b", "echo"), `"concurrency": "queue"`)})
		_, _ = gated(h)
		by := core.Principal{Kind: core.Admin, User: "0"}
		running, _ := h.Run(t.Context(), "j", map[string]any{"Who": "a"})
		waiting, _ := h.Run(t.Context(), "j", map[string]any{"Who": "b"})
		synctest.Wait()
		for _, id := range []string{waiting, running} {
			if err := h.Cancel(id, by); err != nil {
				t.Error(err)
			}
			synctest.Wait()
			run, err := h.RunDetail(id)
			if err != nil || run.State != "cancelled" || run.Reason != "cancelled by Admin-0" {
				t.Errorf("%+v %v", run, err)
			}
			if err := h.Cancel(id, by); !errors.Is(err, ErrEnded) {
				t.Errorf("again: %v", err)
			}
		}
		if err := h.Cancel("nobody", by); err == nil {
			t.Error("cancelled nobody")
		}
		if run, _ := h.RunDetail(running); len(run.Tasks) != 1 {
			t.Errorf("tasks %+v", run.Tasks)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo")+", "+gate+", "+stepJSON("b", "fail"))})
		_, open := gated(h)
		id, _ := h.Run(t.Context(), "j", map[string]any{"Who": "a"})
		synctest.Wait()
		so, events, stop, err := h.Follow(id)
		if err != nil || told(so) != "a succeeded, g running, run running" {
			t.Fatalf("%v %s", err, told(so))
		}
		close(open)
		var then []view.JobRunEvent
		for e := range events {
			then = append(then, e)
		}
		if got := told(then); got != "g succeeded, b running, b failed, run failed" {
			t.Error(got)
		}
		stop()
		so, events, _, err = h.Follow(id)
		if _, more := <-events; err != nil || more || told(so) != "a succeeded, g succeeded, b failed, run failed" {
			t.Errorf("%v %s", err, told(so))
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func told(events []view.JobRunEvent) string {
	var list []string
	for _, e := range events {
		if e.Task != nil {
			list = append(list, e.Task.TaskID+" "+e.Task.State)
		} else {
			list = append(list, "run "+e.Run.State)
		}
	}
	return strings.Join(list, ", ")
}

// Somebody may ask for a run at the moment at which it has its end and is being kept.
func TestFollowAtTheEnd(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo"))})
	r := h.newRun(h.held().jobs["j"], beginning{own: true})
	r.move("begin", "")
	r.move("finish", "")
	h.Service.mu.Lock()
	h.runs[r.principal.Run] = r
	h.Service.mu.Unlock()
	so, events, _, err := h.Follow(r.principal.Run)
	if _, more := <-events; err != nil || more || told(so) != "run succeeded" {
		t.Errorf("%v %s", err, told(so))
	}
	h.Service.mu.Lock()
	delete(h.runs, r.principal.Run)
	h.Service.mu.Unlock()
}

package jobs

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/history"
)

// soak has these tests take as long as the proof asks for; without it they take a part.
var soak = flag.Bool("soak", false, "a minute of events, gigabytes of output")

// A thousand events a second, in real time and with the history on disk: none is lost, each
// run has its end there, and the runs of a job begin in the order of their events.
func TestEventsInRealTime(t *testing.T) {
	seconds := 2
	if *soak {
		seconds = 60
	}
	const jobs, each = 4, 1000 // events a second
	files := map[string]string{}
	for i := range jobs {
		id := fmt.Sprint("job-", i)
		files[id] = jobJSON(id, `{"id": "say", "command": "echo", "parameters": {"Said": "{N}"}, "MergeStdoutJsonIntoContext": true}`, onEvent("E"+fmt.Sprint(i)), `"concurrency": "queue"`)
	}
	h := newHarness(t, files)
	past, _, err := history.Open(filepath.Join(t.TempDir(), "jobs.db"), history.Limits{Age: time.Hour, Bytes: 4 << 30}, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	cfg := h.cfg
	cfg.History, cfg.Facts, cfg.Completed = func() (History, error) { return past, nil }, nobody{}, func(wire.JobCompleted) {}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	total := seconds * each
	tick := time.NewTicker(10 * time.Millisecond)
	for n := 0; n < total; {
		<-tick.C
		for range each / 100 {
			s.Trigger(core.ServicePrincipal(), event(fmt.Sprint("E", n%jobs), map[string]any{"N": fmt.Sprint(n / jobs)}))
			n++
		}
	}
	tick.Stop()
	count := func() (n int) {
		for i := range jobs {
			n += len(everyRun(t, s, view.JobRunFilter{JobID: fmt.Sprint("job-", i), State: "succeeded"}))
		}
		return n
	}
	for deadline := time.Now().Add(2 * time.Minute); count() < total; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d events have a run that succeeded", count(), total)
		}
	}
	for i := range jobs {
		began := map[string]time.Time{} // by what the run was started with
		for _, r := range everyRun(t, s, view.JobRunFilter{JobID: fmt.Sprint("job-", i)}) {
			began[fmt.Sprint(r.ContextIn["N"])] = r.StartedAt
			if r.ContextOut["Said"] != r.ContextIn["N"] {
				t.Fatalf("run %s was started with %v and found %v", r.ID, r.ContextIn, r.ContextOut)
			}
		}
		for n := range total / jobs {
			this, ok := began[fmt.Sprint(n)]
			if before := began[fmt.Sprint(n-1)]; !ok || this.Before(before) {
				t.Fatalf("event %d of job %d: there %v, began %v, the one before %v", n, i, ok, this, before)
			}
		}
	}
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if err := past.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// everyRun is all pages of the history.
func everyRun(t *testing.T, s *Service, f view.JobRunFilter) (list []view.JobRun) {
	t.Helper()
	f.Limit = history.MaxPage
	for {
		page, err := s.Runs(f)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, page.Runs...)
		if f.Before = page.Next; f.Before == "" {
			return list
		}
	}
}

// A program that writes gigabytes to both streams, which nobody asked for and which are no
// text, neither fails nor fills anything: the history has their beginning and end, as text.
func TestOutputWithoutEnd(t *testing.T) {
	megabytes := 64
	if *soak {
		megabytes = 4096
	}
	h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "tool", "command": "script", "timeoutSeconds": 3600}`)})
	writeFile(t, h.cfg.Layout.JobBin("script", ""), fmt.Sprintf("#!/bin/sh\nprintf '\\377\\376begin'\nhead -c %dM /dev/zero\nhead -c %dM /dev/zero >&2\nprintf '\\377end' >&2\n", megabytes, megabytes))
	h.programs = execStarter{}
	h.reload()
	if err := h.runNow("j", nil); err != nil {
		t.Fatal(err)
	}
	task := h.history.all()[0].Tasks[0]
	out, diag := task.Output, task.ErrorOutput
	if !utf8.ValidString(out) || !utf8.ValidString(diag) || !task.Cut || len(out) > 64<<10 || len(diag) > 64<<10 {
		t.Errorf("kept %d and %d bytes, cut %v", len(out), len(diag), task.Cut)
	}
	if want := "\uFFFD\uFFFDbegin"; out[:len(want)] != want {
		t.Errorf("begins %q", out[:20])
	}
	if want := "\uFFFDend"; diag[len(diag)-len(want):] != want {
		t.Errorf("ends %q", diag[max(0, len(diag)-20):])
	}
}

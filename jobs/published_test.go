package jobs

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

// The published examples run as they are. What they need is the program.
func TestThePublishedExamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		files, err := filepath.Glob("testdata/published/*.json")
		if err != nil || len(files) != 6 {
			t.Fatal(files, err)
		}
		texts := map[string]string{}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			texts[strings.TrimSuffix(filepath.Base(file), ".json")] = string(data)
		}
		h := newHarness(t, texts)
		// The example names the program where it is installed.
		at := strings.ReplaceAll(texts["job-minimal-linux"], "/opt/KeeperPrivilegeManager", h.cfg.Layout.Root())
		writeFile(t, filepath.Join(h.cfg.Layout.Jobs(), "job-minimal-linux.json"), at)
		h.reload()
		for _, job := range h.List() {
			elsewhere := job.ID == "job-minimal-windows"
			if job.Enabled == elsewhere || !elsewhere && job.Detail != "" || elsewhere && (job.Detail != "its osFilter leaves out Linux" || job.Priority == 0) { // 0 would say that it is broken
				t.Errorf("%+v", job)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Serve(ctx)
		}()
		h.Trigger(event("Startup", nil))
		time.Sleep(2*time.Hour + time.Minute)
		cancel()
		<-done
		count := map[string]int{}
		for _, run := range h.history.all() {
			if run.State != "succeeded" {
				t.Errorf("%+v", run)
			}
			count[run.JobID+" "+run.Trigger.Kind]++
		}
		for what, want := range map[string]int{
			"job-minimal-linux schedule": 2, "job-schedule-only schedule": 4, "job-schedule-and-startup schedule": 2, "job-schedule-and-startup event": 1, "job-with-event-topic schedule": 2,
		} {
			if count[what] != want {
				t.Errorf("%s: %d, want %d", what, count[what], want)
			}
			delete(count, what)
		}
		if len(count) > 0 {
			t.Errorf("%v", count)
		}
		got, err := h.Evaluate(t.Context(), core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}, "job-custom-filter", map[string]any{"FilePath": "/usr/bin/id", "UserName": "ada"})
		if err != nil || !got.Passed {
			t.Errorf("%+v %v", got, err)
		}
		for _, spec := range h.starter.started() {
			if arg := spec.Argv[1:]; len(arg) == 1 && arg[0] != "--keeper-api-base=https://127.0.0.1:6889" {
				t.Errorf("%q", spec.Argv)
			}
		}
		if topics, _ := h.Topics("job-with-event-topic"); len(topics) != 2 {
			t.Errorf("%q", topics)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

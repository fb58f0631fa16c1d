package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/jobs/history"
	"kpm/jobs/schedule"
	"kpm/jobs/task"
)

// measured is a service as it runs: with its history on disk, and programs of its own.
func measured(b *testing.B, files map[string]string, commands task.Commands) *Service {
	b.Helper()
	h := newHarness(b, files)
	past, _, err := history.Open(filepath.Join(b.TempDir(), "jobs.db"), history.Limits{Age: time.Hour, Bytes: 64 << 20}, time.Now(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	writeFile(b, h.cfg.Layout.JobBin("true", ""), "#!/bin/true\n")
	cfg := h.cfg
	cfg.History, cfg.Completed, cfg.Facts = past, func(wire.JobCompleted) {}, nobody{}
	cfg.Kinds = task.Bundled(task.Config{Layout: cfg.Layout, Platform: core.Linux, Starter: execStarter{}, Commands: commands})
	s, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			b.Error(err)
		}
		if err := past.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// nobody hears what happened.
type nobody struct{}

func (nobody) EventUnhandled(string, core.RequestID)  {}
func (nobody) JobEnded(core.Principal, string, error) {}

// From an event to the first task of its job.
func BenchmarkEventToFirstTask(b *testing.B) {
	begun := make(chan struct{})
	s := measured(b, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "note"}`, onEvent("E"))}, task.Commands{
		"note": func(context.Context, core.Principal, map[string]any) (map[string]any, error) {
			begun <- struct{}{}
			return nil, nil
		},
	})
	for b.Loop() {
		s.Trigger(core.ServicePrincipal(), event("E", map[string]any{"Path": "/srv"}))
		<-begun
	}
}

// One run after another, of a task that is a built-in.
func BenchmarkRunEcho(b *testing.B) { benchmarkRun(b, `{"id": "a", "command": "echo"}`) }

// One run after another, of a task that starts a program; beside it, the program alone.
func BenchmarkRunProgram(b *testing.B) { benchmarkRun(b, `{"id": "a", "command": "true"}`) }

func BenchmarkForkExecAlone(b *testing.B) {
	for b.Loop() {
		if err := exec.Command("/bin/true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkRun(b *testing.B, one string) {
	s := measured(b, map[string]string{"j": jobJSON("j", one)}, task.Commands{"echo": task.Echo})
	for b.Loop() {
		r, err := s.run(context.Background(), "j", beginning{own: true})
		if err != nil {
			b.Fatal(err)
		}
		<-r.done
		if !r.is("succeeded") {
			b.Fatal(r.shown().Reason)
		}
	}
}

// Ten thousand jobs whose schedules are due one after another: how late the slowest
// hundredth begins.
func BenchmarkLatenessOfTenThousand(b *testing.B) {
	all := map[string]*schedule.Schedule{}
	begun := time.Now()
	for i := range 10_000 {
		at := begun.Add(time.Second + time.Duration(i)*100*time.Microsecond)
		raw := fmt.Sprintf(`{"runAt": %q}`, at.Format(time.RFC3339Nano))
		all[fmt.Sprint("job", i)] = schedule.Compile([]byte(raw), schedule.File{RunAt: at.Format(time.RFC3339Nano)}, begun, func(bool, string, string, string) {})
	}
	late := make(chan time.Duration, len(all))
	timer := schedule.NewTimer(schedule.SystemClock(), &fakeHistory{due: map[string]time.Time{}}, func(_ string, due time.Time) { late <- time.Since(due) })
	timer.Set(all)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		timer.Run(ctx)
	}()
	list := make([]time.Duration, 0, len(all))
	for range len(all) { // the times come once, whatever b.N is
		list = append(list, <-late)
	}
	cancel()
	<-done
	b.ReportMetric(float64(percentile(list, 99).Microseconds()), "p99-us")
}

func percentile(list []time.Duration, p int) time.Duration {
	slices.Sort(list)
	return list[len(list)*p/100]
}

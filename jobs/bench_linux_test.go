package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
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
	cfg.History, cfg.Completed, cfg.Facts = func() (History, error) { return past, nil }, func(wire.JobCompleted) {}, nobody{}
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

// One run after another, of a task that is a built-in, and of one that starts a program;
// beside it the program alone and, where systemd runs, as a unit of it.
func BenchmarkRuns(b *testing.B) {
	b.Run("echo", func(b *testing.B) { benchmarkRun(b, `{"id": "a", "command": "echo"}`) })
	b.Run("program", func(b *testing.B) { benchmarkRun(b, `{"id": "a", "command": "true"}`) })
	b.Run("forkexec-program", func(b *testing.B) { benchmarkCommand(b, "/bin/true") })
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		b.Run("systemdrun-program", func(b *testing.B) { benchmarkCommand(b, "systemd-run", "--quiet", "--wait", "/bin/true") })
	}
}

func benchmarkCommand(b *testing.B, argv ...string) {
	for b.Loop() {
		if err := exec.Command(argv[0], argv[1:]...).Run(); err != nil {
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
		all[fmt.Sprint("job", i)] = once(begun.Add(time.Second + time.Duration(i)*100*time.Microsecond))
	}
	late := make(chan time.Duration, len(all))
	timer := schedule.NewTimer(schedule.SystemClock(), &fakeHistory{due: map[string]time.Time{}}, func(f schedule.Fired) { late <- time.Since(f.At) })
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

// once is the schedule of a job that is due once.
func once(at time.Time) *schedule.Schedule {
	text := at.Format(time.RFC3339Nano)
	return schedule.Compile([]byte(strconv.Quote(text)), schedule.File{RunAt: text}, at.Add(-time.Hour), func(bool, string, string, string) {})
}

// Ten thousand jobs as files, on one processor as the service runs: what they take of the
// memory; of five hundred that are due one after another, from that time to the beginning
// of the run that the history has, beside a process that only sleeps; and when all are due
// at one instant, until they are taken in.
func BenchmarkTenThousandJobs(b *testing.B) {
	const jobs, due, each = 10_000, 500, 10 * time.Millisecond
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	files := map[string]string{}
	for i := range jobs {
		id := fmt.Sprint("job-", i)
		files[id] = jobJSON(id, `{"id": "a", "command": "echo", "arguments": "{JobId}"}`, `"schedule": {"runAt": "2100-01-01T00:00:00Z"}`)
	}
	before := onHeap()
	s := measured(b, files, task.Commands{"echo": task.Echo})
	taken := onHeap() - before
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(ctx)
	}()
	b.Run("spread", func(b *testing.B) {
		b.ReportMetric(float64(taken)/jobs, "B/job")
		late := lateness(b, s, due, each, func(r view.JobRun) time.Time { return r.StartedAt })
		b.ReportMetric(float64(percentile(late, 50).Microseconds()), "p50-us")
		b.ReportMetric(float64(percentile(late, 99).Microseconds()), "p99-us")
	})
	b.Run("sleep-spread", func(b *testing.B) {
		var late []time.Duration
		begun := time.Now()
		for i := range due {
			at := begun.Add(time.Duration(i) * each)
			time.Sleep(time.Until(at))
			late = append(late, time.Since(at))
		}
		b.ReportMetric(float64(percentile(late, 99).Microseconds()), "p99-us")
	})
	b.Run("at-once", func(b *testing.B) {
		late := lateness(b, s, jobs, 0, func(r view.JobRun) time.Time { return r.CreatedAt })
		b.ReportMetric(float64(percentile(late, 99).Microseconds()), "p99-us")
	})
	cancel()
	<-done
}

// lateness has the first jobs of s due, so long after one another, and returns how late
// each was: at is when. They come once, whatever b.N is.
func lateness(b *testing.B, s *Service, jobs int, each time.Duration, at func(view.JobRun) time.Time) (late []time.Duration) {
	b.Helper()
	all, begun := s.held().schedules(), time.Now().Add(time.Second)
	for i := range jobs {
		all[fmt.Sprint("job-", i)] = once(begun.Add(time.Duration(i) * each))
	}
	s.timer.Set(all)
	time.Sleep(time.Until(begun.Add(time.Duration(jobs) * each)))
	for deadline := time.Now().Add(time.Minute); len(late) < jobs && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		late = nil
		for before := ""; ; {
			page, err := s.Runs(view.JobRunFilter{State: "succeeded", Since: begun, Limit: history.MaxPage, Before: before})
			if err != nil {
				b.Fatal(err)
			}
			for _, r := range page.Runs {
				late = append(late, at(r).Sub(r.Trigger.DueAt))
			}
			if before = page.Next; before == "" {
				break
			}
		}
	}
	if len(late) != jobs {
		b.Fatalf("%d of %d have run", len(late), jobs)
	}
	return late
}

// onHeap is what lives on the heap, in bytes.
func onHeap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func percentile(list []time.Duration, p int) time.Duration {
	slices.Sort(list)
	return list[len(list)*p/100]
}

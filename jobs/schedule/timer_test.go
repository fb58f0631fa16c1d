package schedule

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// played is a clock that a test sets. Set moves what the wall shows; time passes by
// itself, as synctest has it.
type played struct {
	begun time.Time
	shift atomic.Int64 // nanoseconds by which somebody has set the clock
}

func (p *played) read() Clock {
	return Clock{
		Now:     func() time.Time { return time.Now().Round(0).Add(time.Duration(p.shift.Load())) },
		Elapsed: func() time.Duration { return time.Since(p.begun) },
	}
}

// remembered plays the memory.
type remembered map[string]time.Time

func (r remembered) LastDue(job, text string) (time.Time, bool) {
	at, ok := r[job+text]
	return at, ok
}
func (r remembered) Due(times ...Due) {
	for _, d := range times {
		r[d.Job+d.Schedule] = d.At
	}
}

// player runs a timer in a bubble and notes when it fires, in wall time.
type player struct {
	*Timer
	played
	fired  []string
	memory remembered
	stop   func()
}

func (p *player) start(t *testing.T, schedules map[string]string) {
	p.begun = time.Now()
	if p.memory == nil {
		p.memory = remembered{}
	}
	p.Timer = NewTimer(p.read(), p.memory, func(f Fired) {
		p.memory.Due(f.Remember...)
		p.fired = append(p.fired, fmt.Sprintf("%s %s", f.Job, p.read().Now().UTC().Format("02T15:04")))
	})
	p.set(t, schedules)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	p.stop = func() { cancel(); <-done }
}

func (p *player) set(t *testing.T, schedules map[string]string) {
	all := map[string]*Schedule{}
	for job, raw := range schedules {
		all[job] = sound(t, raw)
	}
	p.Set(all)
}

// sleep lets time pass.
func (p *player) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (p *player) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(p.fired, want) {
		t.Errorf("fired %q, want %q", p.fired, want)
	}
}

// Bubbles begin at midnight, UTC, on 1 January 2000.
func TestTheTimerFires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{}
		p.start(t, map[string]string{"interval": `{"intervalMinutes": 40}`, "cron": `{"cronExpression": "30 * * * *", "timeZone": "UTC"}`, "once": `{"runAt": "2000-01-01T01:00:00Z"}`})
		p.sleep(2 * time.Hour)
		p.stop()
		p.expect(t, "cron 01T00:30", "interval 01T00:40", "once 01T01:00", "interval 01T01:20", "cron 01T01:30", "interval 01T02:00")
	})
}

// Files that change keep what has not changed as it was.
func TestChangedSchedules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &player{}
		p.start(t, map[string]string{"a": `{"intervalMinutes": 60}`, "b": `{"intervalMinutes": 60}`, "c": `{"intervalMinutes": 60}`})
		p.sleep(30 * time.Minute)
		p.set(t, map[string]string{"a": `{"intervalMinutes": 60}`, "b": `{"intervalMinutes": 45}`})
		if next, ok := p.Next("b"); !ok || next.UTC().Format("15:04") != "01:15" {
			t.Errorf("b is due at %v", next)
		}
		if _, ok := p.Next("c"); ok {
			t.Error("c is due still")
		}
		p.sleep(time.Hour)
		p.stop()
		p.expect(t, "a 01T01:00", "b 01T01:15")
	})
}

// Somebody sets the clock, or the machine sleeps, which looks the same.
func TestTheClockJumps(t *testing.T) {
	const cron = `{"cronExpression": "0 * * * *", "timeZone": "UTC"}`
	const skipping = `{"cronExpression": "0 * * * *", "timeZone": "UTC", "missed": "skip"}`
	for name, tc := range map[string]struct {
		by   time.Duration
		want []string
	}{
		// It was 00:30.
		"forward, past one time":            {time.Hour, []string{"cron 01T01:30", "interval 01T01:40", "cron 01T02:00", "skipping 01T02:00", "interval 01T02:20", "cron 01T03:00", "interval 01T03:00", "skipping 01T03:00"}},
		"forward, past several, runs once":  {5 * time.Hour, []string{"cron 01T05:30", "interval 01T05:40", "cron 01T06:00", "skipping 01T06:00", "interval 01T06:20", "cron 01T07:00", "interval 01T07:00", "skipping 01T07:00"}},
		"back: what has been does not come": {-20 * time.Minute, []string{"interval 01T00:20", "cron 01T01:00", "interval 01T01:00", "skipping 01T01:00", "interval 01T01:40"}},
		"back by a day: it was wrong":       {-24 * time.Hour, []string{"interval 31T00:40", "cron 31T01:00", "skipping 31T01:00", "interval 31T01:20", "cron 31T02:00", "interval 31T02:00", "skipping 31T02:00"}},
		"slewing":                           {500 * time.Millisecond, []string{"interval 01T00:40", "cron 01T01:00", "skipping 01T01:00", "interval 01T01:20", "cron 01T02:00", "interval 01T02:00", "skipping 01T02:00"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &player{}
				p.start(t, map[string]string{"cron": cron, "skipping": skipping, "interval": `{"intervalMinutes": 40}`})
				p.sleep(30 * time.Minute)
				p.shift.Store(int64(tc.by))
				p.sleep(90*time.Minute + time.Minute)
				p.stop()
				got := byTime(p.fired)
				if !slices.Equal(got, byTime(tc.want)) {
					t.Errorf("fired %q\nwant  %q", got, byTime(tc.want))
				}
			})
		})
	}
}

// byTime sorts what fired at one time.
func byTime(list []string) []string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b string) int {
		jobA, atA, _ := strings.Cut(a, " ")
		jobB, atB, _ := strings.Cut(b, " ")
		if c := strings.Compare(atA, atB); c != 0 {
			return c
		}
		return strings.Compare(jobA, jobB)
	})
	return list
}

// A time at which the service did not run is made up for once, or not, as the file says.
// runAt runs once, ever.
func TestTheServiceDidNotRun(t *testing.T) {
	schedules := map[string]string{
		"cron":     `{"cronExpression": "0 * * * *", "timeZone": "UTC"}`,
		"skipping": `{"cronExpression": "0 * * * *", "timeZone": "UTC", "missed": "skip"}`,
		"interval": `{"intervalMinutes": 90}`,
		"once":     `{"runAt": "2000-01-01T02:00:00Z"}`,
		"been":     `{"runAt": "2000-01-01T00:10:00Z"}`,
		"notonce":  `{"runAt": "2000-01-01T02:00:00Z", "missed": "skip"}`,
	}
	synctest.Test(t, func(t *testing.T) {
		p := &player{}
		p.start(t, schedules)
		p.sleep(30 * time.Minute)
		p.stop()
		p.expect(t, "been 01T00:10")
		p.sleep(3 * time.Hour)

		p = &player{memory: p.memory}
		schedules["old"] = `{"runAt": "1999-01-01T00:00:00Z"}` // written when it had passed
		p.start(t, schedules)
		p.sleep(5 * time.Minute)
		p.stop()
		slices.Sort(p.fired)
		p.expect(t, "cron 01T03:30", "once 01T03:30")

		p = &player{memory: p.memory}
		p.start(t, schedules)
		p.sleep(10 * time.Minute)
		p.stop()
		p.expect(t)

		p = &player{memory: p.memory}
		p.shift.Store(int64(-2 * time.Hour)) // to before what ran once, at 02:00
		p.start(t, schedules)
		p.sleep(50 * time.Minute)
		p.stop()
		p.expect(t, "notonce 01T02:00") // which has not run yet
	})
}

// asked is a memory that notes who is looked up.
type asked struct {
	remembered
	jobs []string
}

func (a *asked) LastDue(job, text string) (time.Time, bool) {
	a.jobs = append(a.jobs, job)
	return a.remembered.LastDue(job, text)
}

// To look something up costs a start a connection to the database.
func TestIntervalsNeedNoMemory(t *testing.T) {
	memory := &asked{remembered: remembered{}}
	timer := NewTimer((&played{begun: time.Now()}).read(), memory, func(Fired) {})
	timer.Set(map[string]*Schedule{"interval": sound(t, `{"intervalMinutes": 40}`), "cron": sound(t, `{"cronExpression": "30 * * * *"}`)})
	if !slices.Equal(memory.jobs, []string{"cron"}) {
		t.Errorf("asked about %q", memory.jobs)
	}
}

// Ten thousand jobs: the timer looks at those that are due, not at all of them.
func BenchmarkTenThousandJobs(b *testing.B) {
	all := map[string]*Schedule{}
	for i := range 10_000 {
		all[fmt.Sprint("job", i)] = sound(b, fmt.Sprintf(`{"intervalMinutes": %d}`, i%1440+1))
	}
	p := &played{begun: time.Now()}
	fired := 0
	timer := NewTimer(p.read(), remembered{}, func(Fired) { fired++ })
	timer.Set(all)
	for b.Loop() {
		p.begun = p.begun.Add(-time.Second) // a second passes
		p.shift.Add(int64(time.Second))
		timer.Tick()
	}
	b.ReportMetric(float64(fired)/float64(b.N), "fired/op")
}

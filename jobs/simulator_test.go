package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
	"kpm/jobs/task"
)

// simulation is one life of a job service, of which it owns the clock, the disk, the bus,
// who has a turn, and when the machine dies. One seed is one life: everything happens on
// one goroutine, in an order that the seed decides.
type simulation struct {
	seed   uint64
	random *rand.Rand

	now     time.Time     // what the wall shows
	elapsed time.Duration // what has passed
	looked  time.Time     // when the timer looked at the clock last

	jobs    []simulated
	turns   []*run // whose turn it is
	service *Service
	silent  bool // the bus is away
	flying  int  // events that are on their way

	disk    map[string]view.JobRun // what survives
	order   []string
	due     map[string]time.Time // the same of schedules
	came    map[string]time.Time // when one was due last and had a run
	began   map[string]time.Time // when a schedule was first seen
	pending []func()             // to be written, and nobody waits
	deaths  int                  // how many there were
	ops     int                  // until it dies; 0: not in this life
	broken  int                  // per mille of writes that fail

	ran       map[string][]acted
	ended     map[string]int  // how often everyone was told of a run's end
	accepted  map[string]bool // runs that somebody was told of
	delivered int             // events
	faults    []string
}

// died is how the machine dies.
type died struct{}

func (s *simulation) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// effect is anything that happens outside of the service: the machine may die before or
// after it.
func (s *simulation) effect(happens func()) {
	if s.ops > 0 {
		if s.ops--; s.ops == 0 {
			s.deaths++
			if s.random.IntN(2) == 0 {
				happens()
			}
			panic(died{})
		}
	}
	happens()
}

// The disk: a History that fails, at which the machine dies, and to which what nobody
// waits for gets late, in order, or never.
func (s *simulation) write(change func(), wait bool) error {
	if s.random.IntN(1000) < s.broken {
		return errors.New("no space left on device")
	}
	s.pending = append(s.pending, change)
	if !wait && s.random.IntN(3) > 0 {
		return nil
	}
	for len(s.pending) > 0 {
		next := s.pending[0]
		s.pending = s.pending[1:]
		s.effect(next)
	}
	return nil
}

func (s *simulation) save(run view.JobRun, due []schedule.Due, wait bool) error {
	return s.write(func() {
		for _, d := range due {
			s.remember(d)
			if d.At.After(s.came[d.Job]) {
				s.came[d.Job] = d.At
			}
		}
		old, known := s.disk[run.ID]
		if known && run.State == string(state.Queued) {
			return
		}
		if !known {
			s.order = append(s.order, run.ID)
		}
		if known && state.State(old.State).Final() && old.State != run.State {
			s.fault("run %s was %s and becomes %s", run.ID, old.State, run.State)
		}
		s.disk[run.ID] = run
	}, wait)
}

func (s *simulation) Save(run view.JobRun, due ...schedule.Due) error { return s.save(run, due, true) }
func (s *simulation) Note(run view.JobRun, due ...schedule.Due) error { return s.save(run, due, false) }
func (s *simulation) Settle(string) error                             { return nil }
func (s *simulation) SaveTask(string, view.TaskRun) error             { return s.write(func() {}, false) }
func (s *simulation) NoteTask(string, view.TaskRun) error             { return s.write(func() {}, false) }
func (s *simulation) Run(id string) (view.JobRun, error)              { return s.disk[id], nil }
func (s *simulation) Runs(view.JobRunFilter) (view.JobRuns, error)    { return view.JobRuns{}, nil }
func (s *simulation) LastDue(job, _ string) (time.Time, bool) {
	at, ok := s.due[job]
	return at, ok
}

func (s *simulation) remember(d schedule.Due) {
	if last, known := s.due[d.Job]; !known || d.At.After(last) || d.At.Before(last.Add(-schedule.Correction)) {
		s.due[d.Job] = d.At
	}
}

func (s *simulation) Due(times ...schedule.Due) {
	_ = s.write(func() {
		for _, d := range times {
			s.remember(d)
			if _, known := s.began[d.Job]; !known {
				s.began[d.Job] = d.At
			}
		}
	}, false) // nobody waits, and nobody is told
}

// The neighbours.
func (s *simulation) EventUnhandled(string, core.RequestID)          {}
func (s *simulation) JobEnded(run core.Principal, _ string, _ error) { s.ended[run.Run]++ }

// act is what every task does.
func (s *simulation) act(_ context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
	if s.ended[run.Run] > 0 {
		s.fault("run %s goes on after its end", run.Run)
	}
	did := acted{id: params["Task"].(string), failed: params["Fails"].(bool) || params["Publishes"].(bool) && s.silent}
	i := len(s.ran[run.Run])
	s.ran[run.Run] = append(s.ran[run.Run], acted{id: did.id, cut: true})
	s.effect(func() {})
	s.ran[run.Run][i] = did
	s.pass(time.Duration(s.random.IntN(5000)) * time.Millisecond)
	if did.failed {
		return nil, errors.New("it fails")
	}
	return nil, nil
}

// pass lets time pass.
func (s *simulation) pass(d time.Duration) { s.now, s.elapsed = s.now.Add(d), s.elapsed+d }

// tick has the timer look at the clock.
func (s *simulation) tick() {
	s.looked = s.now
	s.service.timer.Tick()
	for _, j := range s.jobs {
		next, ok := s.service.timer.Next(j.id)
		if ahead := next.Sub(s.now); j.every > 0 && (!ok || ahead <= 0 || ahead > j.every) {
			s.fault("%s is due every %v, and next in %v", j.id, j.every, ahead)
		}
	}
}

// boot starts the service on what the disk has. It may die on the way.
func (s *simulation) boot(h *harness) {
	s.turns, s.pending, s.service = nil, nil, nil
	cfg := h.cfg
	cfg.History, cfg.Facts, cfg.MaxRunning, cfg.Completed = func() (History, error) { return s, nil }, s, 1+s.random.IntN(3), func(wire.JobCompleted) {}
	cfg.Clock = schedule.Clock{Now: func() time.Time { return s.now }, Elapsed: func() time.Duration { return s.elapsed }}
	cfg.Kinds = task.Bundled(task.Config{Layout: cfg.Layout, Platform: core.Linux, Starter: h.programs, Commands: task.Commands{"act": s.act}})
	service, err := New(cfg)
	if err != nil {
		s.fault("boot: %v", err)
		return
	}
	service.begin = func(r *run) { s.turns = append(s.turns, r) }
	s.service = service
	// As package history does at its start.
	var cutOff []view.JobRun
	for _, id := range s.order {
		if r := s.disk[id]; !state.State(r.State).Final() {
			next, _ := state.After(state.State(r.State), state.Crash)
			r.State = string(next)
			s.disk[id] = r
			cutOff = append(cutOff, r)
		}
	}
	service.Resume(cutOff)
	for _, r := range s.turns {
		if r.trigger.Kind == kindRerun && !r.job.rerun {
			s.fault("%s runs again, and is not marked as safe", r.job.id)
		}
	}
}

// step lets one thing happen.
func (s *simulation) step() {
	s.pass(time.Duration(s.random.IntN(1000)) * time.Millisecond)
	admin := core.Principal{Kind: core.Admin, User: "0"}
	switch s.random.IntN(12) {
	case 0: // somebody publishes, and the bus may have it more than once
		s.flying += 1 + s.random.IntN(6)
	case 1: // the bus goes away, or comes back
		s.silent = !s.silent
	case 2, 3:
		for ; s.flying > 0 && !s.silent; s.flying-- {
			s.delivered++
			s.service.Trigger(core.ServicePrincipal(), event("E", map[string]any{"N": "x"}))
		}
	case 4:
		id, err := s.service.Run(context.Background(), admin, s.jobs[s.random.IntN(len(s.jobs))].id, nil)
		if err == nil {
			s.accepted[id] = true
		}
	case 5: // somebody cancels
		if len(s.order) > 0 {
			_ = s.service.Cancel(s.order[s.random.IntN(len(s.order))], admin)
		}
	case 6:
		s.pass(time.Duration(s.random.IntN(15)) * time.Minute)
		s.tick()
	case 7: // somebody sets the clock
		if s.random.IntN(3) == 0 {
			s.now = s.now.Add(time.Duration(s.random.IntN(120)-60) * time.Minute)
			s.tick()
		}
	default:
		s.turn()
	}
}

// turn runs one of those whose turn it is to its end.
func (s *simulation) turn() {
	if len(s.turns) == 0 {
		return
	}
	i := s.random.IntN(len(s.turns))
	r := s.turns[i]
	s.turns = slices.Delete(s.turns, i, i+1)
	s.service.complete(r)
}

// live is one service from its start to its end or death.
func (s *simulation) live(h *harness) (alive bool) {
	defer func() {
		switch dead := recover(); dead.(type) {
		case nil:
		case died:
			alive = false
		default:
			panic(dead)
		}
		if s.service != nil {
			s.service.cancel(ErrClosed)
		}
	}()
	if s.ops = 0; s.deaths < 3 && s.random.IntN(2) == 0 {
		s.ops = 1 + s.random.IntN(40)
	}
	s.boot(h)
	for range 5 + s.random.IntN(40) {
		s.step()
	}
	s.ops = 0
	s.tick()
	for len(s.turns) > 0 {
		s.turn()
	}
	for _, change := range s.pending {
		change()
	}
	return true
}

// Ten thousand runs and more, in lives of seeds that are printed: one end for every run, no
// task after it, routes as published, a skip that takes none, no time of a schedule lost
// or met twice, nothing lost that somebody was told of, and after a death nothing runs
// again that was not marked as safe.
func TestSimulatedLives(t *testing.T) {
	const lives = 1100
	first := uint64(time.Now().UnixNano())
	t.Logf("seeds from %d", first)
	h := newHarness(t, nil)
	files := h.cfg.Layout.Jobs()
	deaths, runs, onTime := 0, 0, 0
	for n := range uint64(lives) {
		s := &simulation{
			seed: first + n, random: rand.New(rand.NewPCG(first+n, 7)), now: time.Date(2026, 1, 1, 0, 0, 30, 0, time.UTC),
			disk: map[string]view.JobRun{}, due: map[string]time.Time{}, came: map[string]time.Time{}, began: map[string]time.Time{},
			ran: map[string][]acted{}, ended: map[string]int{}, accepted: map[string]bool{},
		}
		if s.random.IntN(4) == 0 {
			s.broken = 50
		}
		if err := os.RemoveAll(files); err != nil {
			t.Fatal(err)
		}
		for i := range 1 + s.random.IntN(3) {
			j := simulatedJob(s.random, i, s.now)
			s.jobs = append(s.jobs, j)
			writeFile(t, filepath.Join(files, j.id+".json"), j.text)
		}
		for !s.live(h) {
		}
		s.check()
		if len(s.faults) > 0 {
			t.Fatalf("seed %d: %s\n%+v", s.seed, strings.Join(s.faults, "\n"), s.jobs)
		}
		deaths += s.deaths
		runs += len(s.disk)
		for _, r := range s.disk {
			if r.Trigger.Kind == kindSchedule {
				onTime++
			}
		}
	}
	t.Logf("%d runs, %d of them by the clock, %d deaths", runs, onTime, deaths)
	if runs < 10_000 || onTime < runs/20 || deaths < lives/4 {
		t.Errorf("%d runs, %d by the clock and %d deaths in %d lives", runs, onTime, deaths, lives)
	}
}

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
	now    time.Time

	jobs    []simulated
	turns   []*run // whose turn it is
	service *Service
	disk    map[string]view.JobRun // what survives
	order   []string
	deaths  int // how many there were
	ops     int // of the disk, until it dies; 0: not in this life
	broken  int // per mille of writes that fail

	ran      map[string][]string // tasks that ran, by run
	ended    map[string]int      // how often everyone was told of a run's end
	accepted map[string]bool     // runs that the service took in
	faults   []string
}

// simulated is a job: its tasks, what each does, and whether it may run again.
type simulated struct {
	id    string
	text  string
	tasks []simulatedTask
	rerun bool
}

type simulatedTask struct {
	id                   string
	fails, skips         bool
	onSuccess, onFailure int
	goesOn               bool
}

// died is how the machine dies, at a write.
type died struct{}

func (s *simulation) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// makeJobs makes the jobs of this life: with routes in every direction.
func (s *simulation) makeJobs() map[string]string {
	files := map[string]string{}
	for n := range 1 + s.random.IntN(3) {
		j := simulated{id: fmt.Sprintf("job%d", n), rerun: s.random.IntN(2) == 0}
		size := 1 + s.random.IntN(4)
		route := func() (int, string) {
			switch s.random.IntN(4) {
			case 0:
				return routeStop, "stop"
			case 1:
				to := s.random.IntN(size)
				return to, fmt.Sprintf("t%d", to)
			}
			return routeNext, ""
		}
		var texts []string
		for i := range size {
			t := simulatedTask{id: fmt.Sprintf("t%d", i), fails: s.random.IntN(3) == 0, skips: s.random.IntN(4) == 0, goesOn: s.random.IntN(2) == 0}
			var success, failure string
			t.onSuccess, success = route()
			t.onFailure, failure = route()
			condition := ""
			if t.skips {
				condition = `, "condition": {"field": "Nowhere", "operator": "exists"}`
			}
			texts = append(texts, fmt.Sprintf(`{"id": %q, "command": "act", "parameters": {"Task": %q, "Fails": %v}, "OnSuccess": %q, "OnFailure": %q, "ContinueOnFailure": %v%s}`,
				t.id, t.id, t.fails, success, failure, t.goesOn, condition))
			j.tasks = append(j.tasks, t)
		}
		way := []string{"allow", "queue", "skip", "replace"}[s.random.IntN(4)]
		j.text = jobJSON(j.id, strings.Join(texts, ", "), onEvent("E"), fmt.Sprintf(`"rerunIfInterrupted": %v, "concurrency": %q, "priority": %d`, j.rerun, way, 1+s.random.IntN(10)))
		files[j.id] = j.text
		s.jobs = append(s.jobs, j)
	}
	return files
}

// expected is what runs of a job, by a reader of the published rule that knows nothing of
// the tables.
func (j simulated) expected() (ran []string, succeeds bool) {
	for at := 0; at < len(j.tasks); {
		if len(ran) > 50 {
			return ran, false // a circle; the steps are counted elsewhere
		}
		t := j.tasks[at]
		if t.skips {
			at++
			continue
		}
		ran = append(ran, t.id)
		to := t.onSuccess
		if t.fails {
			to = t.onFailure
			if to == routeStop || to == routeNext && !t.goesOn {
				return ran, false
			}
		}
		switch to {
		case routeStop:
			return ran, true
		case routeNext:
			at++
		default:
			at = to
		}
	}
	return ran, true
}

// The disk: a History that fails, and at which the machine dies.
func (s *simulation) write(change func()) error {
	if s.ops > 0 {
		if s.ops--; s.ops == 0 {
			s.deaths++
			if s.random.IntN(2) == 0 {
				change() // it was written, and nobody was told
			}
			panic(died{})
		}
	}
	if s.random.IntN(1000) < s.broken {
		return errors.New("no space left on device")
	}
	change()
	return nil
}

func (s *simulation) Save(run view.JobRun, _ ...schedule.Due) error {
	return s.write(func() {
		old, known := s.disk[run.ID]
		if !known {
			s.order = append(s.order, run.ID)
		}
		if state.State(old.State).Final() && known && old.State != run.State {
			s.fault("run %s was %s and becomes %s", run.ID, old.State, run.State)
		}
		s.disk[run.ID] = run
	})
}
func (s *simulation) Settle(string) error                              { return nil }
func (s *simulation) Note(run view.JobRun, _ ...schedule.Due) error    { return s.Save(run) }
func (s *simulation) SaveTask(string, view.TaskRun) error              { return s.write(func() {}) }
func (s *simulation) Run(id string) (view.JobRun, error)               { return s.disk[id], nil }
func (s *simulation) Runs(view.JobRunFilter) (p view.JobRuns, _ error) { return p, nil }
func (s *simulation) LastDue(string, string) (time.Time, bool)         { return time.Time{}, false }
func (s *simulation) Due(...schedule.Due)                              {}

// The neighbours.
func (s *simulation) EventUnhandled(string, core.RequestID) {}
func (s *simulation) JobEnded(run core.Principal, _ string, _ error) {
	s.ended[run.Run]++
}

// act is what every task does.
func (s *simulation) act(_ context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
	if s.ended[run.Run] > 0 {
		s.fault("run %s goes on after its end", run.Run)
	}
	s.ran[run.Run] = append(s.ran[run.Run], params["Task"].(string))
	s.now = s.now.Add(time.Duration(s.random.IntN(5000)) * time.Millisecond)
	if params["Fails"].(bool) {
		return nil, errors.New("it fails")
	}
	return nil, nil
}

// boot starts the service on what the disk has. It may die on the way.
func (s *simulation) boot(h *harness) {
	s.turns = nil
	cfg := h.cfg
	cfg.History, cfg.Facts, cfg.MaxRunning = s, s, 1+s.random.IntN(3)
	cfg.Clock = schedule.Clock{Now: func() time.Time { return s.now }, Elapsed: func() time.Duration { return time.Duration(s.now.UnixNano()) }}
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
	s.now = s.now.Add(time.Duration(s.random.IntN(1000)) * time.Millisecond)
	admin := core.Principal{Kind: core.Admin, User: "0"}
	switch s.random.IntN(8) {
	case 0, 1: // the bus: an event, sometimes twice
		for range 1 + s.random.IntN(2) {
			s.service.Trigger(core.ServicePrincipal(), event("E", map[string]any{"N": "x"}))
		}
	case 2:
		id, err := s.service.Run(context.Background(), admin, s.jobs[s.random.IntN(len(s.jobs))].id, nil)
		if err == nil {
			s.accepted[id] = true
		}
	case 3: // somebody cancels
		if len(s.order) > 0 {
			_ = s.service.Cancel(s.order[s.random.IntN(len(s.order))], admin)
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
		s.ops = 1 + s.random.IntN(60)
	}
	s.boot(h)
	for range 5 + s.random.IntN(30) {
		s.step()
	}
	s.ops = 0
	for len(s.turns) > 0 {
		s.turn()
	}
	return true
}

// check looks at what is left.
func (s *simulation) check() {
	jobs := map[string]simulated{}
	for _, j := range s.jobs {
		jobs[j.id] = j
	}
	for id, r := range s.disk {
		if s.ended[id] > 1 {
			s.fault("everyone was told %d times that run %s has ended", s.ended[id], id)
		}
		want, succeeds := jobs[r.JobID].expected()
		ran := s.ran[id]
		if len(want) > 50 || len(ran) > 50 {
			continue
		}
		if len(ran) > len(want) || !slices.Equal(ran, want[:len(ran)]) {
			s.fault("run %s of %s ran %q, expected %q", id, r.JobID, ran, want)
		}
		switch r.State {
		case "succeeded", "failed":
			if !slices.Equal(ran, want) || (r.State == "succeeded") != succeeds {
				s.fault("run %s of %s has %s with %q, expected success %v with %q", id, r.JobID, r.State, ran, succeeds, want)
			}
		case "skipped":
			if len(ran) > 0 {
				s.fault("run %s was skipped and ran %q", id, ran)
			}
		case "queued", "running":
			if s.broken == 0 {
				s.fault("run %s has no end", id)
			}
		}
	}
	for id := range s.accepted {
		if _, kept := s.disk[id]; !kept && s.broken == 0 && s.deaths == 0 {
			s.fault("run %s is lost", id)
		}
	}
}

// Ten thousand runs and more, in lives of seeds that are printed: one end
// for every run, no task after it, routes as published, a skip that takes none, and after
// a death nothing runs again that was not marked as safe.
func TestSimulatedLives(t *testing.T) {
	const lives = 600
	first := uint64(time.Now().UnixNano())
	t.Logf("seeds from %d", first)
	h := newHarness(t, nil)
	files := h.cfg.Layout.Jobs()
	deaths, runs := 0, 0
	for n := range uint64(lives) {
		s := &simulation{
			seed: first + n, random: rand.New(rand.NewPCG(first+n, 7)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			disk: map[string]view.JobRun{}, ran: map[string][]string{}, ended: map[string]int{}, accepted: map[string]bool{},
		}
		if s.random.IntN(4) == 0 {
			s.broken = 50
		}
		texts := s.makeJobs()
		if err := os.RemoveAll(files); err != nil {
			t.Fatal(err)
		}
		for id, text := range texts {
			writeFile(t, filepath.Join(files, id+".json"), text)
		}
		for !s.live(h) {
		}
		s.check()
		if len(s.faults) > 0 {
			t.Fatalf("seed %d: %s\n%s", s.seed, strings.Join(s.faults, "\n"), texts)
		}
		deaths += s.deaths
		runs += len(s.disk)
	}
	t.Logf("%d runs, %d deaths", runs, deaths)
	if runs < 10_000 || deaths < lives/4 {
		t.Errorf("%d runs and %d deaths in %d lives", runs, deaths, lives)
	}
}

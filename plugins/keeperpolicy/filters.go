package keeperpolicy

import (
	"context"
	"strconv"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/policy"
	"kpm/core/wire"
)

// filterSetting is how long filter jobs may take, in seconds.
const filterSetting = "policy.customFilterTimeoutSeconds"

// Bounds of filter jobs: the time of one, and how many questions wait for theirs at
// once, of one user and of all. Whoever is beyond them is decided on as if no job had
// answered.
const (
	maxFilterTime = 30 * time.Second
	maxUserWaits  = 4
	maxWaits      = 32
)

// filters runs the filter jobs that questions depend on. Decisions about other
// questions go on meanwhile.
type filters struct {
	// run has a job run to its end and says whether it succeeded.
	run   func(ctx context.Context, job string, values map[string]any) (bool, error)
	slots *fair.Slots[core.UserID]

	mu     sync.Mutex
	within time.Duration

	ctx   context.Context
	end   context.CancelFunc
	waits sync.WaitGroup
}

func newFilters(ctx context.Context, run func(context.Context, string, map[string]any) (bool, error)) *filters {
	f := &filters{run: run, slots: fair.NewSlots[core.UserID](fair.Bounds{Each: maxUserWaits, All: maxWaits}), within: maxFilterTime}
	f.ctx, f.end = context.WithCancel(ctx)
	return f
}

// close breaks off what runs, and returns when nobody waits any more.
func (f *filters) close() {
	f.end()
	f.waits.Wait()
}

// set takes the setting; text is empty if it is not set.
func (f *filters) set(text string) error {
	within := maxFilterTime
	seconds, err := strconv.Atoi(text)
	switch {
	case text == "":
		err = nil
	case err == nil && (seconds < 1 || time.Duration(seconds)*time.Second > maxFilterTime):
		err = strconv.ErrRange
	case err == nil:
		within = time.Duration(seconds) * time.Second
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.within = within
	return err
}

// ask runs the jobs that a question depends on, all at once, and calls then with
// what they have said. It does not wait itself.
func (e *engine) ask(q wire.PolicyRequest, u *undecided, then func(map[string]policy.FilterAnswer)) {
	f := e.filters
	if f == nil {
		then(nil)
		return
	}
	slot, err := f.slots.TryTake(q.UserID, 1)
	if err != nil {
		e.log.Warn("filter jobs were not run: too many questions wait for theirs", "user", q.UserName, "jobs", u.jobs)
		then(nil)
		return
	}
	f.mu.Lock()
	within := f.within
	f.mu.Unlock()
	f.waits.Go(func() {
		defer slot.Release()
		ctx, cancel := context.WithTimeout(f.ctx, within)
		defer cancel()
		said := make([]policy.FilterAnswer, len(u.jobs))
		var running sync.WaitGroup
		for i, job := range u.jobs {
			running.Go(func() {
				passed, err := f.run(ctx, job, evaluation(q, job))
				switch {
				case err != nil:
					e.log.Warn("a filter job has not answered: its policies grant nothing, and their DENY holds", "request", string(q.RequestID), "job", job, "error", err)
				case passed:
					said[i] = policy.FilterPassed
				default:
					said[i] = policy.FilterFailed
				}
			})
		}
		running.Wait()
		answers := make(map[string]policy.FilterAnswer, len(said))
		for i, job := range u.jobs {
			answers[job] = said[i]
		}
		then(answers)
	})
}

// evaluation is the context that a filter job begins with.
func evaluation(q wire.PolicyRequest, job string) map[string]any {
	return map[string]any{
		"RequestId": string(q.RequestID), "EventType": q.EventType, "CustomFilterJobId": job,
		"UserName": q.UserName, "UserId": string(q.UserID), "GroupNames": append([]string{}, q.GroupNames...),
		"TargetUser": q.TargetUser, "MachineName": q.MachineName,
		"FilePath": q.FilePath, "FileHash": q.FileHash, "RequestedPath": q.RequestedPath,
		"CommandLine": wire.Quoted(platform(), q.Arguments), "Arguments": append([]string{}, q.Arguments...), "WorkingDirectory": q.WorkingDirectory,
		"RequestedBy": string(q.RequestedBy), "Agent": q.Agent,
	}
}

// finish decides a question by what its filter jobs have said, and by the policies
// that are in force then: a DENY that was added meanwhile holds.
//
// Attack: a question that waits for a job while policies change names those before, so
// that the service stops no programs any more.
func (e *engine) finish(q wire.PolicyRequest, response *wire.PolicyResponse, answers map[string]policy.FilterAnswer) {
	force := e.force.Load()
	force.names(response)
	asked, ok := e.question(q, force)
	if !ok {
		response.Message = malformed
		return
	}
	asked.FilterAnswers = answers
	decide(response, asked, force)
}

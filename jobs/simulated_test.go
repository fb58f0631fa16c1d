package jobs

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// simulated is a job of a simulation.
type simulated struct {
	id    string
	text  string
	tasks []simulatedTask
	rerun bool

	cron  time.Duration // every so long by the wall clock; 0 if it has no such schedule
	every time.Duration // the same of an interval
	runAt time.Time     // zero if it has none
	skip  bool          // "missed": "skip"
}

// simulatedTask either fails or not, or publishes and fails while the bus is away.
type simulatedTask struct {
	id                      string
	fails, skips, publishes bool
	onSuccess, onFailure    int
	goesOn                  bool
}

// acted is a task that ran. cut says that the machine died in it.
type acted struct {
	id          string
	failed, cut bool
}

// simulatedJob makes a job with routes in every direction, and perhaps a schedule.
func simulatedJob(random *rand.Rand, n int, now time.Time) simulated {
	j := simulated{id: fmt.Sprintf("job%d", n), rerun: random.IntN(2) == 0, skip: random.IntN(3) == 0}
	size := 1 + random.IntN(4)
	route := func(from int) (int, string) {
		switch random.IntN(5) {
		case 0:
			return routeStop, "stop"
		case 2:
			if random.IntN(2) == 0 {
				return routeFail, "fail"
			}
		case 1:
			to := random.IntN(size)
			if to <= from && random.IntN(8) > 0 {
				break // few go back: a circle takes a thousand steps
			}
			return to, fmt.Sprintf("t%d", to)
		}
		return routeNext, ""
	}
	var texts []string
	for i := range size {
		t := simulatedTask{
			id: fmt.Sprintf("t%d", i), fails: random.IntN(3) == 0, skips: random.IntN(4) == 0, publishes: random.IntN(3) == 0, goesOn: random.IntN(2) == 0,
		}
		var success, failure string
		t.onSuccess, success = route(i)
		t.onFailure, failure = route(i)
		condition := ""
		if t.skips {
			condition = `, "condition": {"field": "Nowhere", "operator": "exists"}`
		}
		texts = append(texts, fmt.Sprintf(`{"id": %q, "command": "act", "parameters": {"Task": %q, "Fails": %v, "Publishes": %v}, "OnSuccess": %q, "OnFailure": %q, "ContinueOnFailure": %v%s}`,
			t.id, t.id, t.fails, t.publishes, success, failure, t.goesOn, condition))
		j.tasks = append(j.tasks, t)
	}
	way := []string{"allow", "queue", "skip", "replace"}[random.IntN(4)]
	j.text = jobJSON(j.id, strings.Join(texts, ", "), onEvent("E"), j.schedule(random, now),
		fmt.Sprintf(`"rerunIfInterrupted": %v, "concurrency": %q, "priority": %d`, j.rerun, way, 1+random.IntN(10)))
	return j
}

// schedule chooses when j is due, and returns it as its file has it.
func (j *simulated) schedule(random *rand.Rand, now time.Time) string {
	when, minutes := "", 1+random.IntN(20)
	switch random.IntN(4) {
	case 0:
		return `"schedule": {}`
	case 1:
		j.every = time.Duration(minutes) * time.Minute
		when = fmt.Sprintf(`"intervalMinutes": %d`, minutes)
	case 2:
		minutes = []int{1, 5, 10, 30}[random.IntN(4)]
		j.cron = time.Duration(minutes) * time.Minute
		when = fmt.Sprintf(`"cronExpression": "*/%d * * * *", "timeZone": "UTC"`, minutes)
	case 3:
		j.runAt = now.Add(time.Duration(minutes) * time.Minute)
		when = fmt.Sprintf(`"runAt": %q`, j.runAt.Format(time.RFC3339))
	}
	if j.skip {
		when += `, "missed": "skip"`
	}
	return `"schedule": {` + when + `}`
}

// follows says whether a run that did this did what j says, by a reader of the published
// rule that knows nothing of the tables; and if it is over then, whether it succeeded.
func (j simulated) follows(ran []acted) (so, over, succeeded bool) {
	at := 0
	for _, did := range ran {
		for at < len(j.tasks) && j.tasks[at].skips {
			at++ // the next in the list, whatever its routes say
		}
		if over || at >= len(j.tasks) || j.tasks[at].id != did.id {
			return false, false, false
		}
		if did.cut {
			return did == ran[len(ran)-1], false, false
		}
		t := j.tasks[at]
		to := t.onSuccess
		if did.failed {
			to = t.onFailure
		}
		switch {
		case to == routeStop:
			over, succeeded = true, !did.failed
		case to == routeFail:
			over = true
		case to != routeNext:
			at = to
		case did.failed && !t.goesOn:
			over = true
		default:
			at++
		}
	}
	if over {
		return true, true, succeeded
	}
	for at < len(j.tasks) && j.tasks[at].skips {
		at++
	}
	return true, at >= len(j.tasks), true
}

package jobs

import (
	"fmt"

	"kpm/core/view"
)

// check looks at what is left of a life.
func (s *simulation) check() {
	jobs, events := map[string]simulated{}, 0
	for _, j := range s.jobs {
		jobs[j.id] = j
	}
	twice := map[string]string{}
	for id, r := range s.disk {
		if s.ended[id] > 1 {
			s.fault("everyone was told %d times that run %s has ended", s.ended[id], id)
		}
		s.checkRun(jobs[r.JobID], r)
		if r.Trigger.Kind == kindEvent {
			events++
		}
		if r.Trigger.Kind == kindSchedule && jobs[r.JobID].every == 0 && s.broken == 0 {
			at := fmt.Sprint(r.JobID, " at ", r.Trigger.DueAt)
			if other := twice[at]; other != "" {
				s.fault("%s has two runs, %s and %s", at, other, id)
			}
			twice[at] = id
		}
	}
	if s.broken > 0 {
		return // a disk that is full keeps no promise
	}
	for id := range s.accepted {
		if _, kept := s.disk[id]; !kept {
			s.fault("run %s, which somebody was told of, is lost", id)
		}
	}
	if want := s.delivered * len(s.jobs); s.deaths == 0 && events != want {
		s.fault("%d events came, and have %d runs of %d", s.delivered, events, want)
	}
	for _, j := range s.jobs {
		s.checkSchedule(j)
	}
}

// checkRun holds a run against its job.
func (s *simulation) checkRun(j simulated, r view.JobRun) {
	ran := s.ran[r.ID]
	if len(ran) > 50 {
		return // a circle; the steps are counted elsewhere
	}
	so, over, succeeded := j.follows(ran)
	if !so {
		s.fault("run %s of %s ran %v", r.ID, j.id, ran)
	}
	switch r.State {
	case "succeeded", "failed":
		if !over || (r.State == "succeeded") != succeeded {
			s.fault("run %s of %s has %s with %v, over %v, success %v", r.ID, j.id, r.State, ran, over, succeeded)
		}
	case "skipped":
		if len(ran) > 0 {
			s.fault("run %s was skipped and ran %v", r.ID, ran)
		}
	case "queued", "running":
		if s.broken == 0 {
			s.fault("run %s has no end", r.ID)
		}
	}
}

// checkSchedule: the last time that there was has had its run, also if it was missed.
func (s *simulation) checkSchedule(j simulated) {
	began, seen := s.began[j.id]
	came := s.came[j.id]
	if !seen || j.skip {
		return
	}
	switch {
	case j.cron > 0:
		if last := s.looked.Truncate(j.cron); last.After(began) && came.Before(last) {
			s.fault("%s was due at %v, and its last run is of %v", j.id, last, came)
		}
	case !j.runAt.IsZero():
		if j.runAt.After(began) && !s.looked.Before(j.runAt) && came.IsZero() {
			s.fault("%s was to run at %v and has not", j.id, j.runAt)
		}
	}
}

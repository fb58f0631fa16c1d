package policy

import (
	"slices"

	"kpm/core"
)

// Watching returns what monitoring policies would do; nothing if the question meets
// none. They change no outcome. Their filter jobs are taken to pass.
func (s *Set) Watching(q Question) core.Monitored {
	kind := s.of(q.Kind)
	if kind == nil || len(kind.monitoring.rules) == 0 {
		return core.Monitored{}
	}
	enforced := q.FilterAnswers
	q.FilterAnswers = kind.monitoring.passed
	var a asked
	if !s.ask(kind, q, &a) {
		return core.Monitored{}
	}
	var buffer [24]hit
	found := kind.monitoring.find(&a, buffer[:0])
	if len(found) == 0 {
		return core.Monitored{}
	}
	t := kind.monitoring.tally(found)
	a.q.FilterAnswers = enforced
	t.add(kind.enforcing.tally(kind.enforcing.find(&a, nil)))
	w := core.Monitored{
		Policies: kind.monitoring.refs(found, func(*rule, strength) bool { return true }),
		Outcome:  t.outcome(), Notices: kind.monitoring.notices(found), FilterJobs: kind.monitoring.jobsOf(found),
	}
	switch {
	case q.Administrator && !s.env.EnforceForAdministrators:
		w.Outcome = core.Allow
	case w.Outcome == core.Pending:
		w.Controls = kind.monitoring.controls[t.demands]
	}
	return w
}

// notices are the messages of what was met, each once.
func (x *index) notices(found hits) (list []core.Notice) {
	for _, h := range found {
		if n := x.rules[h.rule].notice; n != nil && !slices.Contains(list, *n) {
			list = append(list, *n)
		}
	}
	return list
}

// maxFilterJobs bounds how many filter jobs are run for one question. Those beyond
// have not answered.
const maxFilterJobs = 8

// FilterJobs returns the ids of the jobs whose answers the decision about q may
// depend on, sorted; none if it is a DENY whatever they say. q has no answers yet.
func (s *Set) FilterJobs(q Question) []string {
	kind := s.of(q.Kind)
	if kind == nil || len(kind.enforcing.passed) == 0 || q.Administrator && !s.env.EnforceForAdministrators {
		return nil
	}
	var a asked
	if !s.ask(kind, q, &a) {
		return nil
	}
	found := kind.enforcing.find(&a, nil)
	if slices.ContainsFunc(found, func(h hit) bool { r := &kind.enforcing.rules[h.rule]; return r.denies && r.job == "" }) {
		return nil
	}
	jobs := kind.enforcing.jobsOf(found)
	return jobs[:min(len(jobs), maxFilterJobs)]
}

// jobsOf are the filter jobs of what was met, each once.
func (x *index) jobsOf(found hits) (jobs []string) {
	for _, h := range found {
		if job := x.rules[h.rule].job; job != "" {
			jobs = append(jobs, job)
		}
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}

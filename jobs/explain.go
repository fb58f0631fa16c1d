package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kpm/core/view"
)

// Explain says whether a job would run now: for an event, or by name if event is empty,
// with this context. It starts nothing. The error wraps ErrUnknown.
func (s *Service) Explain(id, event string, context map[string]any) (view.JobExplained, error) {
	c, key := s.held(), strings.ToLower(id)
	answer := view.JobExplained{ID: id, Reasons: []string{}}
	j, ok := c.jobs[key]
	if !ok {
		if broken, is := c.broken[key]; is {
			answer.Reasons = append(answer.Reasons, "its file is broken: "+broken.Detail)
			return answer, nil
		}
		return answer, fmt.Errorf("job %s: %w", id, ErrUnknown)
	}
	answer.ID = j.id
	say := func(format string, args ...any) {
		answer.Reasons = append(answer.Reasons, fmt.Sprintf(format, args...))
	}
	switch {
	case j.disabled != "":
		say("it does not run: %s", j.disabled)
	case event == "" && j.ownEvents():
		say("it cannot be started by name: it belongs to a request and starts from %s", strings.Join(j.events, ", "))
	case event != "" && !slices.Contains(j.events, event):
		say("it does not name the event %s; it names %s", event, named(j.events))
		for _, other := range slices.Sorted(maps.Keys(c.byEvent)) {
			if strings.EqualFold(other, event) && other != event {
				say("events are told apart by letter case: %s starts jobs", other)
			}
		}
	}
	v := newVars(context, j.parameters)
	if err := j.check(v); err != nil {
		say("%v", err)
	}
	r := &run{service: s, job: j, vars: v}
	if met, why := j.condition.Met(r.lookup); !met {
		text := "its condition is not met: " + why
		if j.alternate != "" {
			text += "; its alternate " + j.alternate + " is started instead"
		}
		say("%s", text)
	}
	if active := s.active(key); active > 0 && j.concurrency != Allow {
		switch j.concurrency {
		case Skip:
			say("%d of its runs are under way, and its concurrency is skip", active)
		case Queue, Replace:
			answer.Runs = len(answer.Reasons) == 0
			say("%d of its runs are under way: its concurrency is %s", active, j.concurrency)
			return answer, nil
		}
	}
	answer.Runs = len(answer.Reasons) == 0
	for _, doubt := range j.doubts() {
		say("%s", doubt)
	}
	for _, t := range j.tasks {
		if met, why := t.condition.Met(r.lookup); !met {
			say("task %s would be skipped as things are: its condition is not met: %s", t.id, why)
		}
		if skip, err := r.skips(t); skip || err != nil {
			say("task %s: setting %s of plugin %s is not true", t.id, t.skipKey, t.skipPlugin)
		}
	}
	return answer, nil
}

// active is how many runs of a job are under way or wait for a place.
func (s *Service) active(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.turns.active[key])
}

func named(events []string) string {
	if len(events) == 0 {
		return "none"
	}
	return strings.Join(events, ", ")
}

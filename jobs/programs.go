package jobs

import (
	"maps"
	"slices"
)

// Programs returns the programs that tasks run, with the ids of the jobs that
// run each.
func (s *Service) Programs() map[string][]string {
	found := map[string][]string{}
	c := s.held()
	for _, key := range slices.Sorted(maps.Keys(c.jobs)) {
		j := c.jobs[key]
		for _, step := range j.tasks {
			task, runs := step.task.(interface{ Path() string })
			if !runs {
				continue
			}
			if path := task.Path(); path != "" && !slices.Contains(found[path], j.id) {
				found[path] = append(found[path], j.id)
			}
		}
	}
	return found
}

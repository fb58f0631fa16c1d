package jobs

import (
	"kpm/core/metrics"
	"kpm/jobs/state"
)

// Stats is what has become of runs since New.
type Stats struct {
	// Ended are runs by their last state.
	Ended map[state.State]uint64
	// Took is from when a run was wanted to its end.
	Took metrics.Distribution
	// Open are runs without an end, now.
	Open int
}

// Stats returns the counters.
func (s *Service) Stats() Stats {
	s.mu.Lock()
	open := len(s.runs)
	s.mu.Unlock()
	return Stats{Ended: s.ended.All(), Took: s.took.Seen(), Open: open}
}

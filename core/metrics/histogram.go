package metrics

import (
	"slices"
	"sync"
	"time"
)

// bounds are the upper ends of every histogram's buckets, in seconds: from what
// an fdatasync takes to what a person does to answer.
var bounds = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}

// Histogram counts durations. The zero value is ready; methods may be called
// concurrently.
type Histogram struct {
	mu sync.Mutex
	d  Distribution
}

// Distribution is what a Histogram has seen.
type Distribution struct {
	// Counts has how many were at most bounds[i] and more than the one before; the
	// last is of those above all bounds. It is nil if Count is 0.
	Counts []uint64
	Count  uint64
	Sum    time.Duration
}

// Observe counts one duration. A negative one, as a clock that was set may give,
// counts as 0.
func (h *Histogram) Observe(d time.Duration) {
	d = max(d, 0)
	i, _ := slices.BinarySearch(bounds, d.Seconds())
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.d.Counts == nil {
		h.d.Counts = make([]uint64, len(bounds)+1)
	}
	h.d.Counts[i]++
	h.d.Count++
	h.d.Sum += d
}

// Seen returns a copy of what was counted.
func (h *Histogram) Seen() Distribution {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := h.d
	seen.Counts = slices.Clone(seen.Counts)
	return seen
}

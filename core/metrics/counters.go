package metrics

import (
	"maps"
	"sync"
)

// maxKeys bounds how many different things one Counters tells apart.
const maxKeys = 128

// Counters count several things by key. The zero value is ready; methods may be
// called concurrently.
type Counters[K comparable] struct {
	mu   sync.Mutex
	seen map[K]uint64
}

// Add counts one more k. Beyond maxKeys different ones new ones are not counted:
// keys are fixed in code, so that only a programming error gets there.
func (c *Counters[K]) Add(k K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[K]uint64{}
	}
	if _, known := c.seen[k]; known || len(c.seen) < maxKeys {
		c.seen[k]++
	}
}

// All returns a copy of what was counted.
func (c *Counters[K]) All() map[K]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.seen)
}

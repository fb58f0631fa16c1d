package fair

import (
	"sync"
	"time"
)

// mentionAgain is how long a cause is not mentioned again.
const mentionAgain = time.Minute

// Mentions say which refusals are worth a line in the log: the first of a
// person for a cause, and one a minute as long as it goes on. Refusals that are
// not in the log at all look like a fault of the service's; all of them fill
// the disk.
type Mentions struct {
	rate *Rate[mention]

	mu     sync.Mutex
	silent map[mention]int // since the last line, of those the rate remembers
}

type mention struct {
	who   any
	cause string
}

// NewMentions returns Mentions of which none was made.
func NewMentions() *Mentions {
	return &Mentions{rate: NewRate[mention](1/mentionAgain.Seconds(), 1), silent: map[mention]int{}}
}

// Worth reports whether one more refusal of who for cause is to be logged, and
// how many were not since the last one that was.
func (m *Mentions) Worth(who any, cause string) (worth bool, silent int) {
	key := mention{who, cause}
	wait := m.rate.Take(key, 1)
	m.mu.Lock()
	defer m.mu.Unlock()
	if wait == 0 {
		silent = m.silent[key]
		delete(m.silent, key)
		return true, silent
	}
	if _, known := m.silent[key]; known || len(m.silent) < maxPeople {
		m.silent[key]++
	}
	return false, 0
}

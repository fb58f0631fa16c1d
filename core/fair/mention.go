package fair

import (
	"sync"
	"time"
)

// Bounds of Mentions: how long a cause is not mentioned again, and how many causes of
// one person are remembered. Attack: somebody thinks of more and more causes, such as
// names of files, and what others do is not mentioned any more.
const (
	mentionAgain = time.Minute
	maxCauses    = 256
)

// Mentions say which refusals are worth a line in the log: the first of a
// person for a cause, and one a minute as long as it goes on. Refusals that are
// not in the log at all look like a fault of the service's; all of them fill
// the disk.
type Mentions struct {
	mu     sync.Mutex
	people map[any]*causes
	rest   *causes // shared by whoever comes when maxPeople are remembered
}

// causes are one person's.
type causes struct {
	rate   *Rate[string]
	silent map[string]int // since the last line
}

func newCauses() *causes {
	return &causes{rate: newRate[string](1/mentionAgain.Seconds(), 1, maxCauses), silent: map[string]int{}}
}

// NewMentions returns Mentions of which none was made.
func NewMentions() *Mentions {
	return &Mentions{people: map[any]*causes{}, rest: newCauses()}
}

// Worth reports whether one more refusal of who for cause is to be logged, and
// how many were not since the last one that was.
func (m *Mentions) Worth(who any, cause string) (worth bool, silent int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := m.of(who, time.Now())
	if c.rate.Take(cause, 1) == 0 {
		silent = c.silent[cause]
		delete(c.silent, cause)
		return true, silent
	}
	if _, known := c.silent[cause]; known || len(c.silent) < maxCauses {
		c.silent[cause]++
	}
	return false, 0
}

// of returns the causes of who.
func (m *Mentions) of(who any, now time.Time) *causes {
	if c, ok := m.people[who]; ok {
		return c
	}
	if len(m.people) >= maxPeople {
		for other, c := range m.people {
			if c.rate.idle(now) {
				delete(m.people, other)
			}
		}
	}
	if len(m.people) >= maxPeople {
		return m.rest
	}
	c := newCauses()
	m.people[who] = c
	return c
}

package approval

import (
	"crypto/rand"
	"time"

	"kpm/core/port"
)

// Clock tells two times: the wall clock, which somebody may set, and how long the
// machine has been running, sleep included, since it was started as boot says.
type Clock interface {
	Now() time.Time
	Running() (boot string, since time.Duration)
}

// systemClock is the clock of this machine.
type systemClock struct {
	running func() (string, time.Duration, error)
}

// SystemClock returns the clock of this machine. Where it has none that nobody can set, or
// running is nil, each run of the service counts as one of the machine.
func SystemClock(running port.Clock) Clock {
	if running != nil {
		if _, _, err := running.Now(); err == nil {
			return systemClock{running.Now}
		}
	}
	boot, begun := rand.Text(), time.Now()
	return systemClock{func() (string, time.Duration, error) { return boot, time.Since(begun), nil }}
}

// Now implements Clock.
func (systemClock) Now() time.Time { return time.Now() }

// Running implements Clock. One that cannot be read any more is that of no boot: then the
// wall clock alone is left.
func (c systemClock) Running() (string, time.Duration) {
	boot, since, err := c.running()
	if err != nil {
		return "", 0
	}
	return boot, since
}

// instant is one reading of both.
type instant struct {
	wall    time.Time
	boot    string
	running time.Duration
}

func read(c Clock) instant {
	boot, running := c.Running()
	return instant{c.Now().Round(0).UTC(), boot, running}
}

// Deadline is a moment by both clocks: it has come when either says so. Attack:
// the wall clock is set back, and what was given for an hour lasts for a year.
// After a restart of the machine the wall clock alone is left, and one that shows a
// time before the deadline was set is not believed.
type Deadline struct {
	Set     time.Time     `json:"set"`
	Wall    time.Time     `json:"wall"`
	Boot    string        `json:"boot"`
	Running time.Duration `json:"running"`
}

// skew is how far the wall clock may be put back before nothing is believed that it
// says about a deadline of an earlier boot.
const skew = 5 * time.Minute

func (n instant) after(d time.Duration) Deadline {
	return Deadline{Set: n.wall, Wall: n.wall.Add(d), Boot: n.boot, Running: n.running + d}
}

// left is how much time there is; zero or less if it has come.
func (d Deadline) left(n instant) time.Duration {
	left := d.Wall.Sub(n.wall)
	switch {
	case d.Boot == n.boot:
		left = min(left, d.Running-n.running)
	case n.wall.Before(d.Set.Add(-skew)):
		return 0
	}
	return left
}

// earlier returns the one that comes first, as seen at n.
func earlier(n instant, a, b Deadline) Deadline {
	if b.left(n) < a.left(n) {
		return b
	}
	return a
}

package journal

import (
	"fmt"
	"time"
)

const (
	// steady is by how much the wall clock may part from the running time
	// before a record says so. Clocks that are slewed stay below it.
	steady = 5 * time.Second
	// late is how long after its time a record may be written without saying so.
	late = time.Second / 2
)

// clock holds the wall clock against the time that has passed.
type clock struct {
	wall    time.Time
	running time.Duration
}

func (c *clock) begin(wall time.Time, running time.Duration) {
	c.wall, c.running = wall.Round(0), running
}

// look writes a record if the clock was set since it last looked, or the machine
// has slept. Times before and after such a record do not compare.
func (j *Journal) look() error {
	wall, running := j.cfg.clock()
	shift := wall.Round(0).Sub(j.clock.wall) - (running - j.clock.running)
	if shift > -steady && shift < steady {
		return nil
	}
	if err := j.append(Record{Type: Clock, Shift: shift.Milliseconds(), Time: wall.UTC()}); err != nil {
		return err
	}
	j.clock.begin(wall, running)
	select {
	case j.step <- struct{}{}:
	default:
	}
	return nil
}

// ClockSet gets a value when the clock was set: a checkpoint soon after it keeps
// the time that seems to have passed from looking like one without signatures.
func (j *Journal) ClockSet() <-chan struct{} { return j.step }

// maxRemarks bounds what is said about times. Attack: a journal of a million
// records, each earlier than the one before.
const maxRemarks = 100

// times follows the times of records.
type times struct{ last time.Time }

// remark adds what is to be said of r.
func (t *times) remark(said []string, r *Record) []string {
	last := t.last
	t.last = r.at()
	var text string
	back := last.Sub(t.last)
	switch shift := time.Duration(r.Shift) * time.Millisecond; {
	case r.Type == Clock && shift > 0:
		text = fmt.Sprintf("the clock was set forward by %v, or the machine slept", shift)
	case r.Type == Clock:
		text = fmt.Sprintf("the clock was set back by %v", -shift)
	case shift < 0:
		text = fmt.Sprintf("the clock was set back by at least %v while the service was stopped", -shift)
	case !last.IsZero() && back > late:
		text = fmt.Sprintf("%v earlier than the record before it, and none says that the clock was set", back.Round(time.Millisecond))
	default:
		return said
	}
	switch {
	case len(said) < maxRemarks:
		return append(said, fmt.Sprintf("record %d, %s: %s", r.Seq, r.Time.Format("2006-01-02 15:04:05Z07:00"), text))
	case len(said) == maxRemarks:
		return append(said, fmt.Sprintf("there is more of this kind after the first %d", maxRemarks))
	}
	return said
}

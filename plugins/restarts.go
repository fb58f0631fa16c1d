package plugins

import (
	"slices"
	"time"

	"kpm/settings"
)

// firstPause follows the immediate restart; each pause after it is twice as
// long as the one before.
const firstPause = 100 * time.Millisecond

// restarts decides when a plugin that ended is started again: at once the
// first time, then after growing pauses, and, unless nothing is decided without
// it, not at all once the breaker's limit is reached within its window, so that
// a plugin that cannot run does not wear the machine out.
type restarts struct {
	limits settings.Monitoring
	recent []time.Time // of the restarts granted within the window
	pause  time.Duration
}

// next returns how long to wait before a restart, for a process that ended now
// after it had lived so long. false means that a plugin that can be done without
// is given up.
func (r *restarts) next(now time.Time, lived time.Duration) (time.Duration, bool) {
	if lived >= r.limits.BreakerWindow { // it can run; this is a new failure
		r.pause = 0
	}
	r.recent = slices.DeleteFunc(r.recent, func(t time.Time) bool { return now.Sub(t) >= r.limits.BreakerWindow })
	again := len(r.recent) < r.limits.BreakerLimit
	if again {
		r.recent = append(r.recent, now)
	}
	pause := r.pause
	r.pause = min(max(2*pause, firstPause), r.limits.MaxBackoff)
	return pause, again
}

// saidAgain is how often one and the same is logged of a plugin that cannot run
// and is never given up.
const saidAgain = time.Minute

// said is what was logged of restarts.
type said struct {
	reason string
	pause  time.Duration
	at     time.Time
	times  int
}

// now reports whether a restart for this reason, after this pause, is to be
// logged, and if so, how many there were since the last that was.
func (s *said) now(now time.Time, reason string, pause time.Duration) (times int, ok bool) {
	s.times++
	if reason == s.reason && pause == s.pause && now.Sub(s.at) < saidAgain {
		return 0, false
	}
	times = s.times
	s.reason, s.pause, s.at, s.times = reason, pause, now, 0
	return times, true
}

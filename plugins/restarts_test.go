package plugins

import (
	"slices"
	"testing"
	"time"

	"kpm/settings"
)

func TestRestarts(t *testing.T) {
	ms := func(n ...int) []time.Duration {
		var d []time.Duration
		for _, n := range n {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for _, tc := range []struct {
		name   string
		limits settings.Monitoring
		lives  []time.Duration // of each process in turn
		pauses []time.Duration // shorter than lives when given up
	}{
		{"crash at once: five restarts, then the breaker",
			settings.Monitoring{BreakerLimit: 5, BreakerWindow: 10 * time.Second, MaxBackoff: 30 * time.Second},
			ms(0, 0, 0, 0, 0, 0), ms(0, 100, 200, 400, 800)},
		{"crash every three seconds: pauses keep the breaker shut and grow to the limit",
			settings.Monitoring{BreakerLimit: 5, BreakerWindow: 10 * time.Second, MaxBackoff: 2 * time.Second},
			ms(1900, 1900, 1900, 1900, 1900, 1900, 1900, 1900), ms(0, 100, 200, 400, 800, 1600, 2000, 2000)},
		{"a life as long as the window begins anew",
			settings.Monitoring{BreakerLimit: 5, BreakerWindow: 10 * time.Second, MaxBackoff: 30 * time.Second},
			ms(0, 0, 10000, 0, 9999), ms(0, 100, 0, 100, 200)},
		{"a limit of one",
			settings.Monitoring{BreakerLimit: 1, BreakerWindow: time.Second, MaxBackoff: time.Second},
			ms(0, 0), ms(0)},
		{"a limit of one, and a window that passed",
			settings.Monitoring{BreakerLimit: 1, BreakerWindow: time.Second, MaxBackoff: time.Second},
			ms(0, 1000, 800), ms(0, 0)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := restarts{limits: tc.limits}
			now := time.Unix(0, 0)
			var pauses []time.Duration
			for _, lived := range tc.lives {
				now = now.Add(lived)
				pause, ok := r.next(now, lived)
				if !ok {
					break
				}
				pauses = append(pauses, pause)
				now = now.Add(pause)
			}
			if !slices.Equal(pauses, tc.pauses) {
				t.Errorf("got %v, want %v", pauses, tc.pauses)
			}
		})
	}
}

// TestRestartsAreLoggedOncePerCause: a plugin that cannot run does not fill the
// log, and what is not logged is counted.
func TestRestartsAreLoggedOncePerCause(t *testing.T) {
	var said said
	now := time.Now()
	for i, tc := range []struct {
		after  time.Duration
		reason string
		pause  time.Duration
		times  int // 0 if it is not logged
	}{
		{0, "it is not there", 0, 1},
		{0, "it is not there", firstPause, 1},
		{firstPause, "it is not there", firstPause, 0},
		{firstPause, "it is not there", firstPause, 0},
		{firstPause, "it exited with status 1", firstPause, 3},
		{firstPause, "it exited with status 1", firstPause, 0},
		{saidAgain, "it exited with status 1", firstPause, 2},
	} {
		now = now.Add(tc.after)
		if times, ok := said.now(now, tc.reason, tc.pause); times != tc.times || ok != (tc.times > 0) {
			t.Errorf("%d: %d, %t", i, times, ok)
		}
	}
}

package admincli

import (
	"strings"
	"testing"
	"time"
)

// Times on the command line are written as in policies, days among them.
func TestLengths(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "90d": 90 * 24 * time.Hour,
		"2160h": 2160 * time.Hour, "0": 0,
	} {
		var d time.Duration
		if err := (length{&d}).Set(text); err != nil || d != want {
			t.Errorf("%q is read as %s (%v), want %s", text, d, err, want)
		}
	}
	for text, says := range map[string]string{"30": "a number without a unit", "": "no span of time", "soon": "no span of time", "99999d": "30 days"} {
		if _, err := readLength(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

package jobs

import (
	"regexp"
	"testing"
	"time"
)

// Runs of later times have later ids, which are 26 characters of base32 and none another's.
func TestIDsOfRuns(t *testing.T) {
	form := regexp.MustCompile(`^[A-Z2-7]{26}$`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	last, seen := "", map[string]bool{}
	for i := range 2000 {
		id := newID(at.Add(time.Duration(i) * 13 * time.Hour))
		if !form.MatchString(id) || id <= last || seen[id] {
			t.Fatalf("%q after %q", id, last)
		}
		last, seen[id] = id, true
	}
	if one, other := newID(at), newID(at); one == other {
		t.Errorf("two runs are %q", one)
	}
}

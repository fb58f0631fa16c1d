//go:build linux

package linux

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

func TestOneUserCannotKeepTheServiceLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScans()
		look := func(user core.UserID, took time.Duration) bool {
			until, done, err := s.enter(user)
			if err != nil {
				if !errors.Is(err, errCostly) {
					t.Errorf("enter: %v", err)
				}
				return false
			}
			if (user == "0") != until.IsZero() {
				t.Errorf("user %s has until %v", user, until)
			}
			time.Sleep(took)
			done()
			return true
		}
		var spent time.Duration
		begun := time.Now()
		for time.Since(begun) < time.Minute {
			if look("4242", scanTime) {
				spent += scanTime
			} else if !look("4343", time.Millisecond) {
				t.Fatal("somebody else pays for it")
			}
			time.Sleep(20 * time.Millisecond)
		}
		if limit := time.Duration(float64(time.Minute)*scanShare) + 2*scanBurst; spent > limit || spent < limit/2 {
			t.Errorf("it took %v of a minute, at most %v are allowed", spent, limit)
		}
		for range 10 {
			if !look("0", time.Second) {
				t.Error("root has no time")
			}
		}
		time.Sleep(time.Hour)
		if !look("4242", 0) || s.running.Taken() != 0 {
			t.Errorf("after an hour: %d are looked for", s.running.Taken())
		}
	})
}

func TestOneUsersLooksAtOnce(t *testing.T) {
	s := newScans()
	var all []func()
	for range maxScans {
		_, done, err := s.enter("4242")
		must(t, err)
		all = append(all, done)
	}
	if _, _, err := s.enter("4242"); !errors.Is(err, errCostly) {
		t.Errorf("one more: %v", err)
	}
	for _, done := range all {
		done()
	}
	_, done, err := s.enter("4242")
	must(t, err)
	done()
}

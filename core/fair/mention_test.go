package fair

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestACauseIsMentionedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMentions()
		for _, step := range []struct {
			wait   time.Duration
			who    string
			cause  string
			worth  bool
			silent int
		}{
			{0, "1000", "full", true, 0},
			{0, "1000", "full", false, 0},
			{time.Second, "1000", "full", false, 0},
			{0, "1000", "late", true, 0}, // another cause
			{0, "1001", "full", true, 0}, // another person
			{time.Minute, "1000", "full", true, 2},
			{time.Minute, "1000", "full", true, 0},
		} {
			time.Sleep(step.wait)
			if worth, silent := m.Worth(step.who, step.cause); worth != step.worth || silent != step.silent {
				t.Errorf("%+v: %v, %d", step, worth, silent)
			}
		}
	})
}

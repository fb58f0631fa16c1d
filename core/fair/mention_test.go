package fair

import (
	"strconv"
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

// Attack: somebody thinks of more and more causes, or comes by more and more names.
func TestManyCausesOfOnePersonSilenceNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMentions()
		for i := range 8 * maxPeople {
			m.Worth("1000", strconv.Itoa(i))
		}
		if worth, _ := m.Worth("1001", "full"); !worth {
			t.Error("somebody else is not mentioned")
		}
		if worth, _ := m.Worth("1001", "late"); !worth {
			t.Error("nor is another cause of theirs")
		}
	})
}

func TestMentionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMentions()
		for i := range 2 * maxPeople {
			m.Worth(i, "full")
			m.Worth(i, "full")
		}
		if len(m.people) > maxPeople || len(m.rest.silent) > maxCauses {
			t.Errorf("%d people are remembered", len(m.people))
		}
		time.Sleep(time.Minute)
		if worth, _ := m.Worth("new", "full"); !worth || len(m.people) != 1 {
			t.Errorf("a minute later %d people are remembered", len(m.people))
		}
	})
}

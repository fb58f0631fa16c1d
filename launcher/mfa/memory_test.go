package mfa

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

func terminal(device uint64, leader int) core.Terminal {
	return core.Terminal{Device: device, Leader: core.ProcessID{PID: leader, Start: 7}}
}

func refs(ids ...string) (list []core.PolicyRef) {
	for _, id := range ids {
		list = append(list, core.PolicyRef{ID: id})
	}
	return list
}

// What was entered counts for the same person, at the same terminal of the same
// session, for policies that had asked.
func TestWhereItCounts(t *testing.T) {
	here := Place{User: "1000", Session: "c1", Terminal: terminal(34816, 100)}
	for name, tc := range map[string]struct {
		place    Place
		policies []core.PolicyRef
		want     bool
	}{
		"the same":                       {here, refs("a", "b"), true},
		"fewer policies":                 {here, refs("b"), true},
		"one more policy":                {here, refs("a", "c"), false},
		"no policy":                      {here, nil, false},
		"another person":                 {Place{"1001", "c1", here.Terminal}, refs("a"), false},
		"another login session":          {Place{"1000", "c2", here.Terminal}, refs("a"), false},
		"another terminal":               {Place{"1000", "c1", terminal(34817, 100)}, refs("a"), false},
		"a later user of its number":     {Place{"1000", "c1", terminal(34816, 101)}, refs("a"), false},
		"no terminal":                    {Place{"1000", "c1", core.Terminal{}}, refs("a"), false},
		"a device that nobody leads":     {Place{"1000", "c1", core.Terminal{Device: 34816}}, refs("a"), false},
		"a session that has no terminal": {Place{"1000", "c1", terminal(0, 100)}, refs("a"), false},
	} {
		m := NewMemory(5 * time.Minute)
		m.Remember(here, refs("a", "b"))
		m.Remember(Place{User: "1000", Session: "c1"}, refs("a"))
		if got := m.Remembered(tc.place, tc.policies); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestHowLongItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here := Place{User: "1000", Terminal: terminal(1, 1)}
		m, none := NewMemory(5*time.Minute), NewMemory(0)
		m.Remember(here, refs("a"))
		none.Remember(here, refs("a"))
		if none.Remembered(here, refs("a")) {
			t.Error("0 remembers")
		}
		time.Sleep(5*time.Minute - 1)
		if !m.Remembered(here, refs("a")) { // which does not lengthen it
			t.Error("it ends too early")
		}
		time.Sleep(time.Nanosecond)
		if m.Remembered(here, refs("a")) {
			t.Error("it lasts longer")
		}
	})
}

// Attack: the clock is set back, or forward and back, so that it lasts. Setting it
// can only shorten it.
func TestTheClockIsSet(t *testing.T) {
	m := NewMemory(5 * time.Minute)
	for name, tc := range map[string]struct {
		monotonic, wall time.Duration
		want            bool
	}{
		"nobody has set it":             {time.Minute, time.Minute, true},
		"it is old":                     {5 * time.Minute, 5 * time.Minute, false},
		"set back, and old":             {6 * time.Minute, -time.Hour, false},
		"set back, and not old":         {time.Minute, -time.Hour, true},
		"set forward":                   {time.Minute, time.Hour, false},
		"the machine slept for an hour": {time.Minute, time.Hour + time.Minute, false},
	} {
		if got := m.within(tc.monotonic, tc.wall); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestForgetting(t *testing.T) {
	here, there := Place{User: "1000", Terminal: terminal(1, 1)}, Place{User: "1000", Terminal: terminal(2, 2)}
	other := Place{User: "1001", Terminal: terminal(1, 1)}
	m := NewMemory(5 * time.Minute)
	for _, p := range []Place{here, there, other} {
		m.Remember(p, refs("a", "b"))
	}
	m.Forget(here)
	if m.Remembered(here, refs("a")) || !m.Remembered(there, refs("a", "b")) || !m.Remembered(other, refs("a")) {
		t.Error("-k forgets more, or less, than this terminal")
	}
	m.ForgetUser("1000")
	if m.Remembered(there, refs("a")) || !m.Remembered(other, refs("a")) {
		t.Error("-K forgets more, or less, than this person")
	}
}

// Attack: one person makes the service remember without end.
func TestMemoryIsBounded(t *testing.T) {
	m := NewMemory(5 * time.Minute)
	for i := range 2 * maxOwn {
		m.Remember(Place{User: "1000", Terminal: terminal(uint64(i+1), 1)}, refs("a", "b"))
	}
	if len(m.entries) != maxOwn {
		t.Errorf("%d are remembered of one", len(m.entries))
	}
	for i := range maxAll - len(m.entries) - 1 {
		m.entries[entry{Place{User: core.UserID(fmt.Sprint(2000 + i)), Terminal: terminal(1, 1)}, "a"}] = time.Now()
	}
	for range 2 {
		m.Remember(Place{User: "1001", Terminal: terminal(1, 1)}, refs("a", "b"))
	}
	if len(m.entries) != maxAll {
		t.Errorf("%d are remembered of all", len(m.entries))
	}
}

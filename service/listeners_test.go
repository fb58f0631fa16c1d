package service

import (
	"errors"
	"testing"
)

// closing is a listener that counts how often it was closed.
type closing struct{ times int }

func (c *closing) Close() error { c.times++; return nil }

func TestEntrancesWaitUntilTheyAreOpened(t *testing.T) {
	var e entrances
	var served []string
	add := func(name string, fault error) *closing {
		t.Helper()
		c := &closing{}
		if err := e.add(c, func() error { served = append(served, name); return fault }); err != nil {
			t.Fatal(err)
		}
		return c
	}
	one, broken, never := add("one", nil), add("broken", errors.New("it is")), add("never", nil)
	if len(served) != 0 {
		t.Errorf("served before there is something to serve with: %v", served)
	}
	if err := e.openAll(); err == nil || len(served) != 2 {
		t.Errorf("served %v, %v", served, err)
	}
	late := add("late", nil) // a port that was busy
	e.close()
	e.close()
	if one.times != 0 || broken.times != 1 || never.times != 1 || late.times != 0 || served[len(served)-1] != "late" {
		t.Errorf("closed %d, %d, %d and %d times, served %v", one.times, broken.times, never.times, late.times, served)
	}
}

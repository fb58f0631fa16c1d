package idle

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// set is what holds for the collector now.
func set(t *testing.T) (percent int, limit int64) {
	t.Helper()
	percent = debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent, debug.SetMemoryLimit(-1)
}

func TestNothingIsCollectedAtRest(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(70))
	c := collector{busy: func() {}}
	c.Rest()
	if percent, limit := set(t); percent != -1 || limit == math.MaxInt64 {
		t.Errorf("at rest: %d percent, at most %d bytes", percent, limit)
	}
	c.Work()
	if percent, limit := set(t); percent != 70 || limit != math.MaxInt64 {
		t.Errorf("at work: %d percent, at most %d bytes", percent, limit)
	}
	c.Rest()
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(1 << 40)
	defer debug.SetMemoryLimit(math.MaxInt64)
	c.Work()
	if percent, limit := set(t); percent != 50 || limit != 1<<40 {
		t.Errorf("what was set at rest: %d percent, at most %d bytes", percent, limit)
	}
}

// Who works without having said so has what they need: the first collection ends the rest.
func TestWorkEndsTheRest(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	ended := make(chan struct{}, 1)
	c := collector{}
	c.busy = func() {
		c.Work()
		ended <- struct{}{}
	}
	c.Rest()
	var held [][]byte
	for end := time.Now().Add(10 * time.Second); ; {
		held = append(held, make([]byte, 1<<20))
		select {
		case <-ended:
			if len(held) > 64 {
				t.Errorf("only after %d MB", len(held))
			}
			if percent, limit := set(t); percent != 100 || limit != math.MaxInt64 {
				t.Errorf("%d percent, at most %d bytes", percent, limit)
			}
			// A collection at work ends no rest.
			runtime.GC()
			runtime.GC()
			select {
			case <-ended:
				t.Error("ended twice")
			default:
			}
			runtime.KeepAlive(held)
			return
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the rest does not end")
		}
	}
}

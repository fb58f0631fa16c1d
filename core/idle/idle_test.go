package idle

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestIdleIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var told []time.Duration
		w := newWatch(30*time.Second, given(func() { told = append(told, time.Since(began)) }))
		defer w.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(told) != 0 {
			t.Fatalf("told after %v, and nothing was ever done", told)
		}
		began = time.Now()
		for range 100 {
			w.Busy()
			time.Sleep(time.Second)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(told) != 1 || told[0] != 99*time.Second+30*time.Second {
			t.Errorf("told after %v; the last work was after 99 s", told)
		}
		w.Busy()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(told) != 2 {
			t.Errorf("told %d times of two idle times", len(told))
		}
	})
}

func TestClosedTellsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatch(time.Second, given(func() { t.Error("told") }))
		w.Busy()
		w.Close()
		w.Busy()
		time.Sleep(time.Hour)
		synctest.Wait()
	})
}

// pace remembers what it was told.
type pace string

func (p *pace) GiveBack() {}
func (p *pace) Rest()     { *p += "R" }
func (p *pace) Work()     { *p += "W" }

// given is called when something is to be given back.
type given func()

func (g given) GiveBack() { g() }
func (given) Rest()       {}
func (given) Work()       {}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		var busy func()
		w := newWatch(30*time.Second, given(func() { busy() }), &p)
		defer w.Close()
		for i, c := range []struct {
			meanwhile bool // something is done while memory is given back
			want      pace
		}{{false, "R"}, {false, "RWR"}, {true, "RWRW"}, {false, "RWRWR"}} {
			first := true
			busy = func() {
				if c.meanwhile && first {
					first = false
					w.Busy()
				}
			}
			w.Busy()
			time.Sleep(31 * time.Second)
			synctest.Wait()
			if p != c.want {
				t.Errorf("%d: %s, want %s", i, p, c.want)
			}
		}
	})
}

// What was held for work is the system's again.
func TestMemoryIsGivenBack(t *testing.T) {
	held := make([][]byte, 64)
	for i := range held {
		held[i] = make([]byte, 1<<20)
	}
	runtime.KeepAlive(held)
	before := free()
	w := Memory(nil)
	w.after = time.Millisecond
	w.Busy()
	for end := time.Now().Add(10 * time.Second); free() < before+32<<20; {
		if time.Now().After(end) {
			t.Fatalf("the system has back %d MB, and had %d", free()>>20, before>>20)
		}
		time.Sleep(time.Millisecond)
	}
	w.Close()
}

// free is how much the process has given back.
func free() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapReleased
}

package service

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kpm/platform/fake"
)

// fallible is something that may be in the way.
type fallible struct {
	mu    sync.Mutex
	found []string
	asked int
	hangs chan struct{} // nil if it does not
}

func (f *fallible) look() []string {
	f.mu.Lock()
	f.asked++
	found, hangs := f.found, f.hangs
	f.mu.Unlock()
	if hangs != nil {
		<-hangs
	}
	return found
}

func (f *fallible) set(found ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found = found
}

// keeps is where every policy is kept.
func keeps() []string { return nil }

// Policies that are not kept are told beside what is in the way of elevations.
func TestPoliciesThatAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var obstacles, lapses fallible
		var text strings.Builder
		manager := fake.NewServiceManager()
		h := newHealth(obstacles.look, lapses.look, manager, slog.New(slog.NewTextHandler(&text, nil)))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); h.watch(ctx) }()
		for _, step := range []struct {
			obstacles, lapses []string
			manager, log      string
		}{
			{nil, []string{"keeperexec has ended"}, "Elevations can succeed; keeperexec has ended", `msg="policies are not kept" reason="keeperexec has ended"`},
			{[]string{"no room"}, []string{"keeperexec has ended"}, "Elevations cannot succeed: no room; keeperexec has ended", `msg="elevations cannot succeed" reason="no room"`},
			{nil, nil, "Elevations can succeed", `msg="policies are kept again"`},
		} {
			obstacles.set(step.obstacles...)
			lapses.set(step.lapses...)
			h.changed()
			synctest.Wait()
			if told, _ := manager.Heard(); told != step.manager || strings.Count(text.String(), step.log) != 1 || len(h.Lapses()) != len(step.lapses) {
				t.Errorf("the manager was told %q, found %q, log:\n%s", told, h.Lapses(), text.String())
			}
			time.Sleep(healthFresh)
		}
		cancel()
		<-done
	})
}

// The log and the service manager hear of each change once, whoever notices it.
func TestChangesOfHealthAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fallible
		var text strings.Builder
		manager := fake.NewServiceManager()
		h := newHealth(f.look, keeps, manager, slog.New(slog.NewTextHandler(&text, nil)))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); h.watch(ctx) }()
		expect := func(status string, errors, warnings int) {
			t.Helper()
			synctest.Wait()
			told, alive := manager.Heard()
			if told != status || alive != 0 {
				t.Errorf("the manager was told %q, and %d times that it lives; want %q", told, alive, status)
			}
			if e, w := strings.Count(text.String(), "level=ERROR"), strings.Count(text.String(), "level=WARN"); e != errors || w != warnings {
				t.Errorf("%d errors and %d warnings, want %d and %d:\n%s", e, w, errors, warnings, text.String())
			}
		}
		expect("Elevations can succeed", 0, 0)
		f.set("no room", "no launch job\nat all")
		time.Sleep(healthEvery)
		expect("Elevations cannot succeed: no room; no launch job; at all", 1, 0)
		time.Sleep(10 * healthEvery)
		expect("Elevations cannot succeed: no room; no launch job; at all", 1, 0)
		f.set("no launch job")
		h.changed()
		h.changed()
		expect("Elevations cannot succeed: no launch job", 2, 0)
		time.Sleep(healthFresh)
		f.set()
		h.changed()
		expect("Elevations can succeed", 2, 1)
		cancel()
		<-done
	})
}

// A watchdog hears that the service lives as long as it can look, whatever it
// sees.
func TestTheWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fallible
		f.set("no room")
		manager := fake.NewServiceManager()
		manager.Wants = 3 * time.Second
		h := newHealth(f.look, keeps, manager, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); h.watch(ctx) }()
		time.Sleep(10*time.Second + time.Millisecond)
		if _, alive := manager.Heard(); alive != 7 {
			t.Errorf("heard %d times in 10 s", alive)
		}
		hangs := make(chan struct{})
		f.mu.Lock()
		f.hangs = hangs
		f.mu.Unlock()
		time.Sleep(10 * time.Second)
		if _, alive := manager.Heard(); alive != 7 {
			t.Errorf("heard %d times of one that hangs", alive)
		}
		close(hangs)
		cancel()
		<-done
	})
}

// Anybody may ask, as often as they like.
func TestHealthIsLookedAtOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fallible
		h := newHealth(f.look, keeps, fake.NewServiceManager(), slog.New(slog.DiscardHandler))
		for range 1000 {
			h.Obstacles()
		}
		time.Sleep(healthFresh)
		f.set("no room")
		if got := h.Obstacles(); len(got) != 1 || f.asked != 2 {
			t.Errorf("found %q, looked %d times", got, f.asked)
		}
	})
}

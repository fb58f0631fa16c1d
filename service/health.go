package service

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/wire"
)

const (
	// healthEvery is how often the service looks, unasked, whether elevations
	// could succeed: what becomes of a disk nobody tells it.
	healthEvery = 2 * time.Minute
	// healthFresh is how long an answer holds for whoever asks. Anybody may.
	healthFresh = 200 * time.Millisecond
)

// controlJob collects what policies ask for.
const controlJob = "privilege-elevation-policy-controls"

// lapses says which policies are not kept now, and why.
func (s *service) lapses() (all []string) {
	if why := s.execution.Down(); why != "" {
		all = append(all, why)
	}
	return all
}

// obstacles says why an elevation could not succeed now.
func (s *service) obstacles() []string {
	s.launcher.Confirm()
	all := s.launcher.Obstacles()
	if why, _ := s.jobs.Unhandled(wire.EventLaunch, wire.EventLaunch); why != "" {
		all = append(all, "nothing can be launched: "+why)
	}
	// One that is switched off is somebody's choice, and concerns no policy
	// that asks for nothing.
	if why, broken := s.jobs.Unhandled(wire.EventPolicyEvaluationPending, controlJob); broken {
		all = append(all, "nothing that a policy asks for can be collected: "+why)
	}
	if err := roomForFiles(); err != nil {
		all = append(all, "nothing can be launched: "+core.ResourceOf(err))
	}
	return all
}

// launchFiles is how many descriptors one elevation takes while it is launched:
// its connection, the caller's descriptors, terminals and the helper's.
const launchFiles = 16

// roomForFiles reports, with an error that core.ResourceOf words, that
// so many descriptors are not to be had.
func roomForFiles() error {
	for range launchFiles {
		f, err := os.Open(os.DevNull)
		if err == nil {
			defer f.Close()
		} else if core.ResourceOf(err) != "" {
			return err
		}
	}
	return nil
}

// startHealth has the log and the service manager told, from now on, whenever
// elevations cannot succeed any more, or can again.
func (s *service) startHealth(ctx context.Context, _ Options) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.health.watch(ctx)
	}()
	s.onStop(func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

// health says whether elevations could succeed and policies are kept, to whoever asks
// and, when that changes, unasked.
type health struct {
	look    func() []string // why none could
	lapses  func() []string // which are not, and why
	manager port.ServiceManager
	log     *slog.Logger
	poke    chan struct{} // there may be news; has room for one
	stale   atomic.Bool   // so there may

	mu    sync.Mutex
	found findings
	at    time.Time
}

// findings are what was found at one look.
type findings struct{ obstacles, lapses []string }

// words are f as log and service manager have it: one text for each.
func (f findings) words() (obstacles, lapses string) {
	return wire.PrintableLine(strings.Join(f.obstacles, "; ")), wire.PrintableLine(strings.Join(f.lapses, "; "))
}

func newHealth(look, lapses func() []string, manager port.ServiceManager, log *slog.Logger) *health {
	return &health{look: look, lapses: lapses, manager: manager, log: log, poke: make(chan struct{}, 1)}
}

// changed says that there may be news. It never blocks.
func (h *health) changed() {
	h.stale.Store(true)
	h.news()
}

func (h *health) news() {
	select {
	case h.poke <- struct{}{}:
	default:
	}
}

// Obstacles returns why an elevation could not succeed; nothing if one could. If that
// is other than before, whoever has asked is not the only one to hear of it.
func (h *health) Obstacles() []string { return h.asked().obstacles }

// Lapses returns which policies are not kept, and why; nothing if all are.
func (h *health) Lapses() []string { return h.asked().lapses }

func (h *health) asked() findings {
	found, other := h.now()
	if other {
		h.news()
	}
	return found
}

// now returns what is so, and whether it is other than at the last look.
func (h *health) now() (found findings, other bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); h.stale.Swap(false) || now.Sub(h.at) >= healthFresh {
		before := h.found
		h.found, h.at = findings{h.look(), h.lapses()}, now
		other = !slices.Equal(before.obstacles, h.found.obstacles) || !slices.Equal(before.lapses, h.found.lapses)
	}
	return findings{slices.Clone(h.found.obstacles), slices.Clone(h.found.lapses)}, other
}

// watch looks at intervals, and when there may be news, until ctx is done. The
// manager's watchdog hears of each look: one that never ends is what it is for.
// What other people can put right, such as a full disk, it is not told as a
// failure: another start would help nobody.
func (h *health) watch(ctx context.Context) {
	every := healthEvery
	watchdog := h.manager.Watchdog()
	if watchdog > 0 {
		every = min(every, watchdog/2)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last, lastLapses := "unknown", ""
	for {
		found, _ := h.now()
		now, lapses := found.words()
		if now != last {
			h.say(now, last)
		}
		if lapses != lastLapses {
			h.sayLapses(lapses)
		}
		if now != last || lapses != lastLapses {
			h.tellManager(now, lapses)
		}
		last, lastLapses = now, lapses
		if watchdog > 0 {
			if err := h.manager.Alive(); err != nil {
				h.log.Error("the service manager was not told", "state", "alive", "error", err)
			}
		}
		select {
		case <-h.poke:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (h *health) say(now, last string) {
	switch {
	case now != "":
		h.log.Error("elevations cannot succeed", "reason", now)
	case last != "unknown":
		h.log.Warn("elevations can succeed again", "reason", "no longer so: "+last)
	}
}

func (h *health) sayLapses(now string) {
	if now != "" {
		h.log.Error("policies are not kept", "reason", now)
		return
	}
	h.log.Warn("policies are kept again")
}

func (h *health) tellManager(obstacles, lapses string) {
	status := "Elevations can succeed"
	if obstacles != "" {
		status = "Elevations cannot succeed: " + obstacles
	}
	if lapses != "" {
		status += "; " + lapses
	}
	if err := h.manager.Status(status); err != nil {
		h.log.Error("the service manager was not told", "state", "status", "error", err)
	}
}

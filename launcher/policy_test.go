package launcher

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/request"
)

// noPolicy is a world whose policy plugin has not come yet.
func noPolicy(w *world, _ *Config) { w.bus.onProbe(func(string) {}) }

// waiting begins an Elevate that policy cannot be asked about yet.
func waiting(t *testing.T, w *world) *visit {
	t.Helper()
	v := w.begin(w.submission("tool"))
	synctest.Wait()
	if len(w.bus.asks) != 0 {
		t.Fatal("a question was published to nobody")
	}
	return v
}

func (v *visit) ask(t *testing.T) {
	t.Helper()
	v.asked = <-v.w.bus.asks
	v.id = v.asked.RequestID
}

// Whoever comes before KeeperPolicy listens waits for it, and no longer.
func TestCallersWaitForThePolicyPlugin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, noPolicy)
		early := waiting(t, w)
		w.bus.onProbe(w.answerProbe)
		time.Sleep(4 * time.Second)
		w.PolicyListens()
		early.ask(t)
		early.answer(core.Deny)
		if r := early.refused(); !strings.Contains(r.Message, "policy \"Tools\"") {
			t.Errorf("%s: %s", r.Code, r.Message)
		}
	})
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, noPolicy)
		v := waiting(t, w)
		time.Sleep(5 * time.Second)
		if r := v.refused(); r.Code != "denied" || !strings.Contains(r.Message, "no decision came in time (KeeperPolicy is being started)") {
			t.Errorf("%s: %s", r.Code, r.Message)
		}
	})
}

// A question that may have died with KeeperPolicy is asked again, as often as it
// comes back within the time of the request, which does not begin anew.
func TestAQuestionThatWasLostIsAskedAgain(t *testing.T) {
	for name, lose := range map[string]func(*world){
		"its process ended":    func(w *world) { w.PolicyLost(); w.PolicyListens() },
		"its connection ended": func(w *world) { w.PolicyDisconnected() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				v := w.elevate(w.submission("tool"))
				for range 3 {
					time.Sleep(100 * time.Millisecond)
					lose(w)
					v.ask(t)
				}
				other := w.elevate(w.submission("tool"))
				v.answer(core.Deny)
				v.refused()
				time.Sleep(4800 * time.Millisecond)
				lose(w)
				other.ask(t)
				time.Sleep(200 * time.Millisecond) // 5 s since it was opened
				if r := other.refused(); r.Code != "denied" || len(w.bus.asks) != 0 {
					t.Errorf("%s: %s, and asked %d times more", r.Code, r.Message, len(w.bus.asks))
				}
			})
		})
	}
}

// A policy plugin that will not be back soon is waited for by nobody.
func TestWhatCannotBeDecidedIsRefusedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		before := w.elevate(w.submission("tool"))
		w.PolicyLost()
		during := waiting(t, w)
		w.PolicyAbsent("does not run: it exited with status 3")
		after := w.begin(w.submission("tool"))
		began := time.Now()
		for name, v := range map[string]*visit{"failed": before, "failed too": during, "unavailable": after} {
			r := v.refused()
			if !strings.HasPrefix(name, r.Code) || !strings.Contains(r.Message, "nothing can be decided now: KeeperPolicy does not run: it exited with status 3") {
				t.Errorf("%s: %s: %s", name, r.Code, r.Message)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("they waited %v", waited)
		}
		if got := w.Obstacles(); len(got) != 1 || got[0] != "nothing can be decided: KeeperPolicy does not run: it exited with status 3" {
			t.Errorf("in the way: %q", got)
		}
		w.PolicyListens()
		if got := w.Obstacles(); len(got) != 0 {
			t.Errorf("in the way: %q", got)
		}
		w.elevate(w.submission("tool"))
	})
}

// A policy plugin that is asked nothing is probed, and one that is asked and
// does not answer sooner.
func TestASilentPolicyPlugin(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(w *world) // it falls silent
		within time.Duration
	}{
		"while it is asked nothing": {func(*world) {}, 7 * time.Second},
		"while it is asked":         {func(w *world) { w.elevate(w.submission("tool")) }, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				told := make(chan time.Time, 1)
				w := newWorld(t, func(_ *world, c *Config) { c.Silent = func() { told <- time.Now() } })
				began := time.Now()
				w.bus.onProbe(func(string) {})
				tc.before(w)
				if took := (<-told).Sub(began); took != tc.within {
					t.Errorf("it took %v, expected %v", took, tc.within)
				}
				time.Sleep(time.Second)
				if got := w.Obstacles(); len(got) != 1 || !strings.Contains(got[0], "KeeperPolicy has not answered") {
					t.Errorf("in the way: %q", got)
				}
			})
		})
	}
}

// Whoever asks how it is waits until it is heard, or will not be.
func TestWhetherItDecidesIsConfirmed(t *testing.T) {
	for name, tc := range map[string]struct {
		then func(w *world, probe string)
		took time.Duration
	}{
		"it answers":         {func(w *world, probe string) { w.answerProbe(probe) }, 0},
		"it answers others":  {func(w *world, _ string) { w.heardPolicy() }, 2 * time.Second},
		"it answers nothing": {func(*world, string) {}, 2 * time.Second},
		"it ends":            {func(w *world, _ string) { w.PolicyLost() }, 0},
		"the service stops":  {func(w *world, _ string) { w.Close(w.t.Context()) }, 0},
		"it connects anew, again and again": {func(w *world, _ string) {
			for range 20 {
				time.Sleep(time.Second)
				w.PolicyDisconnected()
				w.PolicyListens()
			}
		}, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				asked := make(chan string, 64)
				w.bus.onProbe(func(probe string) { asked <- probe })
				time.Sleep(confirmAfter)
				began, done := time.Now(), make(chan struct{})
				go func() { defer close(done); tc.then(w, <-asked) }()
				w.Confirm()
				if took := time.Since(began); took != tc.took {
					t.Errorf("it took %v, expected %v", took, tc.took)
				}
				<-done
			})
		})
	}
}

// One that answers others' questions is busy, not silent.
func TestABusyPolicyPluginIsNotSilent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(w *world, c *Config) { c.Silent = func() { w.t.Error("it is taken for silent") } })
		w.bus.onProbe(func(string) {})
		for range 20 {
			v := w.elevate(w.submission("tool"))
			time.Sleep(1500 * time.Millisecond)
			v.answer(core.Deny)
			v.refused()
		}
	})
}

// What keeps the policy plugin from allowing anything is in the way of everyone.
func TestAPolicyPluginWithoutPolicies(t *testing.T) {
	w := newWorld(t, func(w *world, _ *Config) {
		w.bus.onProbe(func(id string) {
			if err := w.PolicyProbed(policy, id, "Policies/x.json:1: \x1b[2J"); err != nil {
				t.Error(err)
			}
		})
	})
	w.PolicyListens()
	if got := w.Obstacles(); len(got) != 1 || got[0] != "everything is denied: Policies/x.json:1: \ufffd[2J" {
		t.Errorf("in the way: %q", got)
	}
}

// Nobody else answers for it.
func TestWhoAnswersAProbe(t *testing.T) {
	w := newWorld(t, noPolicy)
	w.PolicyListens()
	mine := policy
	mine.InUserSession = true
	for _, who := range []core.Principal{mine, {Kind: core.Plugin, Name: "KeeperLogger"}, {Kind: core.JobRun, Name: "KeeperPolicy"}} {
		if err := w.PolicyProbed(who, w.decider.probe, ""); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("%+v: %v", who, err)
		}
	}
	if err := w.PolicyProbed(policy, "an earlier one", ""); err != nil || w.decider.standing != awaited {
		t.Errorf("an answer to an earlier probe: %v, %d", err, w.decider.standing)
	}
}

// A journal that takes no records is in the way.
func TestNoRoomForRecords(t *testing.T) {
	w := newWorld(t)
	if got := w.Obstacles(); len(got) != 0 {
		t.Fatalf("in the way: %q", got)
	}
	w.journal.Close()
	w.openJournal()
	if got := w.Obstacles(); len(got) != 1 || !strings.HasPrefix(got[0], "the journal cannot be written: ") {
		t.Errorf("in the way: %q", got)
	}
}

// A bus that had no room for a question is no answer: the plugin's connection is
// cut, and it is asked when it is back.
func TestAQuestionThatFoundNoRoom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		w.bus.askErr = core.NewError(core.Unavailable, "its queue is full")
		v := w.begin(w.submission("tool"))
		synctest.Wait()
		w.bus.askErr = nil
		w.PolicyDisconnected()
		v.ask(t)
		v.answer(core.Deny)
		v.refused()
		if w.recorded() != "opened evaluating denied" {
			t.Errorf("recorded: %s", w.recorded())
		}
	})
}

// The journal has more than the caller is told, or is not named.
func TestWhereTheJournalHasMore(t *testing.T) {
	for name, tc := range map[string]struct {
		err       error
		says, has string
	}{
		"it has":     {errors.New("task x: exit status 3"), "ended without doing its part. The journal has more under request ID", "job LaunchPrivilegeElevation ended without doing its part: task x: exit status 3"},
		"it has not": {nil, "ended without doing its part (request ID)", "job LaunchPrivilegeElevation ended without doing its part"},
	} {
		w := newWorld(t)
		v := w.elevate(w.submission("tool"))
		v.answer(core.Allow)
		v.event(wire.EventLaunch)
		w.JobEnded(v.job(wire.EventLaunch), wire.EventLaunch, tc.err)
		r := v.refused()
		if got := strings.ReplaceAll(r.Message, string(v.id), "ID"); !strings.HasSuffix(got, tc.says) {
			t.Errorf("%s: %s", name, got)
		}
		records := w.records()
		if last := records[len(records)-1]; last.Message != tc.has || v.state() != request.Failed {
			t.Errorf("%s: the journal says %q", name, last.Message)
		}
	}
}

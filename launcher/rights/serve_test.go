package rights

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

// Where no policy is about the groups nobody is asked again, until policies change.
func TestHowOftenPolicyIsAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		before func(m *machine)
		rounds int // in ten minutes
	}{
		"no policy":                        {func(*machine) {}, 1},
		"a policy":                         {func(m *machine) { m.Concerns(true) }, 11},
		"one that is gone":                 {func(m *machine) { m.Concerns(true); m.Concerns(false) }, 1},
		"somebody was taken by one before": {func(m *machine) { m.wanted[ada.User] = true }, 11},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t, ada, bob)
				rounds := 0
				ask := m.cfg.Ask
				m.cfg.Every = time.Minute
				m.cfg.Ask = func(ctx context.Context, a core.Account, groups []string) (core.Removal, error) {
					if a.User == bob.User {
						rounds++
					}
					return ask(ctx, a, groups)
				}
				tc.before(m)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); m.Serve(ctx) }()
				time.Sleep(10*time.Minute + time.Second)
				synctest.Wait()
				if rounds != tc.rounds {
					t.Errorf("asked %d times, expected %d", rounds, tc.rounds)
				}
				m.Stir()
				synctest.Wait()
				if rounds != tc.rounds+1 {
					t.Error("not asked after a change")
				}
				cancel()
				<-ended
			})
		})
	}
}

// sleeper is the clock of a machine that has slept, too.
type sleeper struct {
	*machine
	slept *atomic.Int64
}

func (s sleeper) Now() (string, time.Duration, error) {
	boot, since, err := s.machine.Now()
	return boot, since + time.Duration(s.slept.Load()), err
}

// Attack: somebody who was given an administrator's rights for a time has the machine
// sleep, through which no timer runs.
func TestATimeThatEndsWhileTheMachineSleeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t, bob)
		var slept atomic.Int64
		m.cfg.Every, m.cfg.Clock = time.Minute, sleeper{m, &slept}
		m.give("G1", ada, 8*time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); m.Serve(ctx) }()
		synctest.Wait()
		slept.Store(int64(9 * time.Hour))
		time.Sleep(m.cfg.Every + time.Second)
		synctest.Wait()
		m.are("bob")
		cancel()
		<-ended
	})
}

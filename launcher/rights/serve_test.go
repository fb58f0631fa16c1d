package rights

import (
	"context"
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

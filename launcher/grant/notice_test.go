package grant

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
)

// Whose it is hears before it ends, once, and again when it was prolonged (W8).
func TestTheOwnerIsToldThatItEndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		var told []time.Duration
		b.cfg.Soon = func(g Grant, left time.Duration) { told = append(told, left) }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { b.Serve(ctx); close(done) }()
		defer func() { cancel(); <-done }()
		terms := core.GrantTerms{For: minutes(30), Renewals: 2}
		r := b.given(terms, 30*time.Minute)
		look := func(after time.Duration, want ...time.Duration) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			b.mu.Lock()
			defer b.mu.Unlock()
			if !slices.Equal(told, want) {
				t.Errorf("%s later: told %v, expected %v", after, told, want)
			}
		}
		look(25*time.Minute - time.Second)
		look(time.Second, 5*time.Minute)
		look(4*time.Minute, 5*time.Minute)
		if st := b.Ask(r, 30*time.Minute); len(st.Controls) != 1 {
			t.Fatalf("%+v", st)
		}
		look(24*time.Minute, 5*time.Minute)
		look(time.Minute, 5*time.Minute, 5*time.Minute)
		look(10*time.Minute, 5*time.Minute, 5*time.Minute)
		b.given(core.GrantTerms{For: minutes(30)}, time.Minute) // a short one: at its half
		look(30*time.Second, 5*time.Minute, 5*time.Minute, 30*time.Second)
	})
}

// Whoever uses a grant that ends soon is told at that terminal.
func TestAUseShortBeforeTheEndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		r := b.given(core.GrantTerms{For: minutes(30)}, 30*time.Minute)
		for _, tc := range []struct {
			after time.Duration
			want  []string
		}{{20 * time.Minute, nil}, {6 * time.Minute, []string{"It is asked about again in 4m."}}} {
			time.Sleep(tc.after)
			if st := b.Use(r); len(st.Controls) != 1 || !slices.Equal(st.Notes, tc.want) {
				t.Errorf("%s later: %+v", tc.after, st)
			}
		}
	})
}

//go:build linux

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"
)

// crowds are how many callers ask at once.
var crowds = []int{50, 300}

// crowd measures callers who ask at once, each for one elevation after the other,
// in turn with as many of sudo's.
func (m *meter) crowd(ctx context.Context, alice person, vs versions) error {
	for _, callers := range crowds {
		each := max(1, 4*m.plan.samples/3/callers) // as many elevations in a small crowd as in a big one
		name := fmt.Sprintf("crowd of %d on %d processors", callers, runtime.NumCPU())
		perElevation := row{Name: name + ", time for each elevation", Unit: "ms", Samples: map[string][]float64{}, Peers: []string{"sudo"}}
		median := row{Name: name + ", median of waiting", Unit: "ms", Samples: map[string][]float64{}, Peers: []string{"sudo"}}
		worst := row{Name: name + ", 99 of 100 within", Unit: "ms", Samples: map[string][]float64{}, Peers: []string{"sudo"}}
		denied := row{Name: fmt.Sprintf("%s, refused of %d", name, callers*each), Samples: map[string][]float64{}, Peers: []string{"sudo"}}
		sides := map[string]command{"sudo": {argv: []string{"/usr/bin/sudo", program}}}
		order := []string{"sudo"}
		for _, v := range vs {
			sides[v.side] = keepersudo(v.agent, program)
			order = append(order, v.side)
		}
		for range m.plan.share(60) {
			for _, side := range order {
				all, err := alice.many(ctx, sides[side], callers, each)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", name, side, err)
				}
				denied.Samples[side] = append(denied.Samples[side], float64(all.Refused))
				perElevation.Samples[side] = append(perElevation.Samples[side], all.Whole/float64(len(all.Took)))
				median.Samples[side] = append(median.Samples[side], percentile(all.Took, 50))
				worst.Samples[side] = append(worst.Samples[side], percentile(all.Took, 99))
			}
		}
		for _, r := range []row{perElevation, median, worst, denied} {
			if err := m.out.Encode(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// restsAfter is when an agent that nobody has asked for anything has given back what it
// held for its work, and looks out for work less often.
const restsAfter = 40 * time.Second

// crowded is a crowd beside agents that run for it alone, and what they are like when
// it has gone and they rest, which meanwhile is done beside.
func (m *meter) crowded(ctx context.Context, alice person, vs versions, meanwhile func() error) error {
	for _, v := range vs {
		if err := v.agent.Write("appsettings.json", crowdSettings); err != nil {
			return err
		}
	}
	return running(ctx, vs, func() error {
		if m.plan.wants(groupCrowd) {
			if err := m.crowd(ctx, alice, vs); err != nil || runtime.NumCPU() == 1 {
				return err // how many processors there are makes no difference to what follows
			}
			if err := m.memory(ctx, vs, " after a crowd"); err != nil {
				return err
			}
		}
		if err := rest(ctx, meanwhile); err != nil {
			return err
		}
		if m.plan.wants(groupCrowd) {
			if err := m.memory(ctx, vs, " when a crowd has gone"); err != nil {
				return err
			}
		}
		if m.plan.wants(groupIdle) {
			if err := m.idle(ctx, vs); err != nil || !m.plan.wants(groupCrowd) {
				return err
			}
			return m.memory(ctx, vs, " when a crowd has gone, after two minutes more")
		}
		return nil
	})
}

// rest waits until agents rest. Until then the processors are meanwhile's, which asks
// them for nothing.
func rest(ctx context.Context, meanwhile func() error) error {
	begun := time.After(restsAfter)
	if err := meanwhile(); err != nil {
		return err
	}
	select {
	case <-begun:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

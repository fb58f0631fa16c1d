//go:build linux

package main

import (
	"context"
	"os/exec"
	"slices"
	"time"
)

// Elevations of each kind where nobody says how many. Most of a run is the start and end of
// programs, which on one machine takes four times as long as on another; the whole of it
// is to take ten minutes at most.
const (
	mostSamples, fewestSamples = 300, 60
	// quick is how long program takes, from fork to reaped, where mostSamples are taken.
	quick = 900 * time.Microsecond
)

// affordable returns how many that is on this machine.
func affordable(ctx context.Context) (int, error) {
	took := make([]time.Duration, 101)
	for i := range took {
		began := time.Now()
		if err := exec.CommandContext(ctx, program).Run(); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	median := took[len(took)/2]
	return max(fewestSamples, min(mostSamples, int(mostSamples*quick/median))), nil
}

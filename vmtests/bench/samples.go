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
// is to take ten minutes at most where nothing is compared. A comparison needs more.
const (
	mostAlone, mostCompared, fewestSamples = 240, 300, 60
	// quick is how long program takes, from fork to reaped, where the most are taken.
	quick = 900 * time.Microsecond
)

// affordable returns how many of most that is on this machine.
func affordable(ctx context.Context, most int) (int, error) {
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
	return max(fewestSamples, min(most, int(time.Duration(most)*quick/median))), nil
}

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"kpm/vmtests/agent"
)

// watched is how long an agent is looked at while nobody asks it for anything.
const watched = 20 * time.Second

// idle measures what the agents take of a processor in a minute in which nothing happens:
// their plugins included, all in turn.
func (m *meter) idle(ctx context.Context, vs versions) error {
	return m.measure(ctx, "processor time of an idle minute", "ms", m.plan.share(100), 0,
		vs.each(func(a *agent.Agent) func() (float64, error) {
			return func() (float64, error) {
				before, err := spent(a.PID())
				if err != nil {
					return 0, err
				}
				select {
				case <-time.After(watched):
				case <-ctx.Done():
					return 0, ctx.Err()
				}
				after, err := spent(a.PID())
				return milliseconds(after-before) * float64(time.Minute/watched), err
			}
		}))
}

// spent is how long a service and its descendants have had a processor.
func spent(service int) (time.Duration, error) {
	threads, err := filepath.Glob("/proc/[0-9]*/task/*/schedstat")
	if err != nil {
		return 0, err
	}
	var all time.Duration
	for _, path := range threads {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		if !descends(pid, service) {
			continue
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(data), " ")
		nanos, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		all += time.Duration(nanos)
	}
	return all, nil
}

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

// idle measures what the agents take of a processor in a minute in which nothing happens,
// and how often they begin to wait in a second: their plugins included, all in turn.
func (m *meter) idle(ctx context.Context, vs versions) error {
	look := func(read func(path string) (float64, error), glob string, scale float64) func(a *agent.Agent) func() (float64, error) {
		return func(a *agent.Agent) func() (float64, error) {
			return func() (float64, error) {
				before, err := all(a.PID(), glob, read)
				if err != nil {
					return 0, err
				}
				select {
				case <-time.After(watched):
				case <-ctx.Done():
					return 0, ctx.Err()
				}
				after, err := all(a.PID(), glob, read)
				return (after - before) * scale, err
			}
		}
	}
	return errors.Join(
		m.measure(ctx, "processor time of an idle minute", "ms", m.plan.share(100), 0,
			vs.each(look(processor, "schedstat", float64(time.Minute)/float64(watched)/1e6))),
		m.measure(ctx, "times that a process begins to wait, idle, each second", "", m.plan.share(100), 0,
			vs.each(look(waits, "status", 1/watched.Seconds()))),
	)
}

// processor is for how many nanoseconds a thread has had one, by its schedstat.
func processor(path string) (float64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	first, _, _ := strings.Cut(string(data), " ")
	return strconv.ParseFloat(first, 64)
}

// waits is how often a thread has begun to wait, by its status.
func waits(path string) (float64, error) {
	n, ok := number(path, "voluntary_ctxt_switches:")
	if !ok {
		return 0, os.ErrNotExist
	}
	return n, nil
}

// all is the sum of what read finds in the files of that name of every thread of a
// service and its descendants.
func all(service int, name string, read func(path string) (float64, error)) (sum float64, err error) {
	threads, err := filepath.Glob("/proc/[0-9]*/task/*/" + name)
	if err != nil {
		return 0, err
	}
	for _, path := range threads {
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		if !descends(pid, service) {
			continue
		}
		n, err := read(path)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has ended
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += n
	}
	return sum, nil
}

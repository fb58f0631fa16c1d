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
)

// watched is how long an agent is looked at while nobody asks it for anything: whatever it
// does by itself it does once in that time, or more often, but for the bus's pings, which
// come every ten minutes.
const watched = 2 * time.Minute

// idle measures what the agents take of a processor in a minute while nothing happens,
// and how often they begin to wait in a second: their plugins included. They rest when it
// begins, and all are looked at at once, since nobody has anything to do.
func (m *meter) idle(ctx context.Context, vs versions) error {
	looks := []struct {
		name, unit, file string
		read             func(path string) (float64, error)
		per              float64
	}{
		{"processor time of an idle minute", "ms", "schedstat", processor, 1e-6 / watched.Minutes()},
		{"times that a process begins to wait, idle, each second", "", "status", waits, 1 / watched.Seconds()},
	}
	sums := func() (found []map[string]float64, err error) {
		for _, look := range looks {
			sides := map[string]float64{}
			for _, v := range vs {
				if sides[v.side], err = all(v.agent.PID(), look.file, look.read); err != nil {
					return nil, err
				}
			}
			found = append(found, sides)
		}
		return found, nil
	}
	before, err := sums()
	if err != nil {
		return err
	}
	select {
	case <-time.After(watched):
	case <-ctx.Done():
		return ctx.Err()
	}
	after, err := sums()
	if err != nil {
		return err
	}
	for i, look := range looks {
		r := row{Name: look.name, Unit: look.unit, Samples: map[string][]float64{}}
		for side, sum := range after[i] {
			r.Samples[side] = []float64{(sum - before[i][side]) * look.per}
		}
		if err := m.out.Encode(r); err != nil {
			return err
		}
	}
	return nil
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

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

// watched is how long an agent is looked at while nobody asks it for anything.
const watched = 20 * time.Second

// idle measures what the agents take of a processor in a minute in which nothing happens,
// and how often they begin to wait in a second: their plugins included. All are looked at
// at once, since nobody has anything to do.
func (m *meter) idle(ctx context.Context, vs versions) error {
	looks := []struct {
		row  row
		glob string
		read func(path string) (float64, error)
		per  float64
	}{
		{row{Name: "processor time of an idle minute", Unit: "ms"}, "schedstat", processor, float64(time.Minute) / float64(watched) / 1e6},
		{row{Name: "times that a process begins to wait, idle, each second"}, "status", waits, 1 / watched.Seconds()},
	}
	add := func(sign float64, to []map[string]float64) error {
		for i, look := range looks {
			for _, v := range vs {
				sum, err := all(v.agent.PID(), look.glob, look.read)
				if err != nil {
					return err
				}
				to[i][v.side] += sign * sum * look.per
			}
		}
		return nil
	}
	for i := range looks {
		looks[i].row.Samples = map[string][]float64{}
	}
	for range m.plan.share(100) {
		taken := []map[string]float64{{}, {}}
		if err := add(-1, taken); err != nil {
			return err
		}
		select {
		case <-time.After(watched):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := add(1, taken); err != nil {
			return err
		}
		for i := range looks {
			for side, value := range taken[i] {
				looks[i].row.Samples[side] = append(looks[i].row.Samples[side], value)
			}
		}
	}
	return errors.Join(m.out.Encode(looks[0].row), m.out.Encode(looks[1].row))
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

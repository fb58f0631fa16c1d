//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kpm/vmtests/agent"
)

// processor is how long processors work until a command has ended, in
// milliseconds: for its own process and, if a is not nil, for the agent's. On a
// busy machine it says more than the time that goes by.
func (p person) processor(ctx context.Context, c command, a *agent.Agent) (float64, error) {
	before, err := workOf(a)
	if err != nil {
		return 0, err
	}
	_, worked, err := p.spend(ctx, c)
	if err != nil {
		return 0, err
	}
	after, err := workOf(a)
	for pid, spent := range after {
		worked += milliseconds(spent - before[pid]) // one that was not there has spent it since
	}
	return worked, err
}

// workOf is how long processors have worked for each process of the agent's. Of
// one that has ended meanwhile nothing is known any more: readers of root's files
// stay.
func workOf(a *agent.Agent) (map[int]time.Duration, error) {
	spent := map[int]time.Duration{}
	if a == nil {
		return spent, nil
	}
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	for _, path := range all {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil || pid != a.PID() && !descends(pid, a.PID()) {
			continue
		}
		var worked unix.Timespec
		// The clock of another process (clock_getcpuclockid(3)).
		err = unix.ClockGettime(int32(^pid<<3|2), &worked)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) { // it has ended
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("the processor time of process %d: %w", pid, err)
		}
		spent[pid] = time.Duration(worked.Nano())
	}
	return spent, nil
}

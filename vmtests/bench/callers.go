//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// asked is what callers who ask at once came to know.
type asked struct {
	// Took is how long those waited that were not refused, from when they wanted to ask,
	// which is before they are forked, in milliseconds.
	Took    []float64
	Refused int
	Whole   float64 // from the first fork until the last was reaped, in milliseconds
}

// many runs c for many callers at once, several times for each.
//
// They are forked and reaped by one goroutine of a process that has nothing else to do,
// this program as --callers. A goroutine for each of them, which waits for its process,
// would take 0.2 ms of a processor more for each elevation from what is measured.
func (p person) many(ctx context.Context, c command, callers, each int) (asked, error) {
	var all asked
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"--callers", strconv.Itoa(callers), "--each", strconv.Itoa(each)}, c.argv...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8", "HOME=" + p.home}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.user, Gid: p.user}, Setsid: true}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return all, fmt.Errorf("%d callers: %w", callers, err)
	}
	if err := json.Unmarshal(out, &all); err != nil {
		return all, fmt.Errorf("%d callers: %w", callers, err)
	}
	if len(all.Took) == 0 {
		return all, fmt.Errorf("every one of %d was refused", all.Refused)
	}
	return all, nil
}

// beCallers is --callers: whenever one of so many processes has ended, the next begins,
// until there have been several for each.
//
// All want to ask when it begins, and each again as soon as it has ended. From then on
// they wait: whom others keep from the processors is forked late, and has waited all the
// same.
func beCallers(out io.Writer, callers, each int, argv []string) error {
	if len(argv) == 0 || callers < 1 || each < 1 {
		return errors.New("callers: no command line")
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	as := &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true}}
	all := asked{}
	began := map[int]time.Time{} // since when those who run wanted to ask
	defer func() {
		for pid := range began { // where something went wrong
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	first := time.Now()
	idle := slices.Repeat([]time.Time{first}, callers) // since when those who do not run want to, the oldest first
	for left := callers * each; left > 0 || len(began) > 0; {
		options := 0
		if left > 0 && len(idle) > 0 {
			options = syscall.WNOHANG // the next is started once all that have ended are reaped
		}
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, options, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil && !errors.Is(err, syscall.ECHILD):
			return fmt.Errorf("callers: wait: %w", err)
		case err == nil && pid > 0:
			now := time.Now()
			if status.ExitStatus() == 0 {
				all.Took = append(all.Took, milliseconds(now.Sub(began[pid])))
			} else {
				all.Refused++
			}
			delete(began, pid)
			idle = append(idle, now)
			continue
		}
		if pid, err = syscall.ForkExec(argv[0], argv, as); err != nil {
			return fmt.Errorf("callers: start %s: %w", argv[0], err)
		}
		began[pid], idle = idle[0], idle[1:]
		left--
	}
	all.Whole = milliseconds(time.Since(first))
	return json.NewEncoder(out).Encode(all)
}

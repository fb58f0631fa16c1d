package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"kpm/core"
	"kpm/core/capture"
	"kpm/core/fault"
	"kpm/core/port"
)

const (
	maxStdout  = 1 << 20 // bytes; more fails the task
	stderrTail = 4 << 10 // bytes kept to explain a failure
	// outputWait is how long output is waited for after a program has ended,
	// reapWithin how long a killed program is.
	outputWait = 100 * time.Millisecond
	reapWithin = 5 * time.Second
)

var errTooMuch = errors.New("it wrote more than 1 MiB to stdout")

func (t *program) Run(ctx context.Context, r Run) (map[string]any, error) {
	path, err := t.find()
	if err != nil {
		return nil, err
	}
	executable, script, argv, err := t.commandLine(path)
	if err != nil {
		return nil, err
	}
	for _, template := range t.args {
		arg, err := template.Expand(Argument(r))
		if err != nil {
			return nil, err
		}
		argv = append(argv, arg)
	}
	select {
	case t.host.slots <- struct{}{}:
		defer func() { <-t.host.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%d programs of tasks run already, and none ended in time: %w", maxPrograms, ctx.Err())
	}
	stdout, status, err := t.execute(ctx, r, core.ServiceSpec{
		As: r.Principal(), Path: executable, Script: script, Argv: argv, Env: r.Environment(), Dir: t.host.layout.Root(),
	})
	if err != nil {
		return nil, err
	}
	var found map[string]any
	if t.merge {
		if found, err = object(stdout); err != nil && status == nil {
			return nil, err
		}
	}
	return found, status
}

// start starts the program as what the task says.
func (t *program) start(ctx context.Context, r Run, spec core.ServiceSpec) (port.Process, error) {
	if t.as == core.AsService {
		return t.host.starter.StartService(ctx, spec)
	}
	spec.As.InUserSession = true // it carries no authority of its own (decision 27)
	user := core.UserSpec{ServiceSpec: spec, RunAs: t.as}
	user.User, _ = r.Value("UserName")
	session, _ := r.Value("SessionId")
	if user.Session = core.SessionID(session); r.Principal().Request != "" && session == "" {
		return nil, fmt.Errorf("ExecutionType %s: the request came from no session", t.as)
	}
	process, err := t.host.starter.StartUser(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("ExecutionType %s: %w", t.as, err)
	}
	return process, nil
}

// execute runs the program to its end. status says how it failed; err, that it
// could not be run to its own end.
func (t *program) execute(ctx context.Context, r Run, spec core.ServiceSpec) (stdout []byte, status, err error) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	limit, overflow := maxOutput, func() {}
	if t.merge { // what is read by halves means something else
		limit, overflow = maxStdout, func() { cut(errTooMuch) }
	}
	out, outEnd, err := capture.First(limit, overflow)
	if err != nil {
		return nil, nil, err
	}
	diag, diagEnd, err := capture.Last(stderrTail)
	if err != nil {
		outEnd.Close()
		out.Finish(0)
		return nil, nil, err
	}
	spec.Stdout, spec.Stderr = outEnd, diagEnd
	process, err := t.start(ctx, r, spec)
	outEnd.Close()
	diagEnd.Close()
	if err != nil {
		out.Finish(0)
		diag.Finish(0)
		return nil, nil, err
	}
	exit, err := process.Wait(ctx)
	// The whole launch group ends with the task, whether it ended by itself
	// or not: nothing that a task left behind keeps its rights.
	if killErr := process.Kill(); killErr != nil {
		r.Log().Debug("nothing left to end", "reason", killErr)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		reap, cancel := context.WithTimeout(context.WithoutCancel(ctx), reapWithin)
		defer cancel()
		if _, waitErr := process.Wait(reap); waitErr != nil {
			r.Log().Warn("killed task is not gone", "process", process.ID(), "error", waitErr)
		}
	}
	stdout, truncated := out.Finish(outputWait)
	stderr, stderrCut := diag.Finish(outputWait)
	said := capture.OneLine(stderr, stderrCut)
	report := Report{ErrorOutput: lines(stderr), Cut: truncated || stderrCut}
	if err == nil {
		report.Exit = &exit
	}
	var more bool
	report.Output, more = bounded(stdout, maxOutput)
	report.Cut = report.Cut || more
	r.Report(report)
	switch {
	case err != nil:
		return nil, nil, withOutput(err, said)
	case truncated && t.merge:
		return nil, nil, errTooMuch
	case exit.Signal != 0:
		status = withOutput(fmt.Errorf("it was ended by signal %d", exit.Signal), said)
	case exit.Code != 0:
		status = withOutput(fmt.Errorf("it exited with status %d", exit.Code), said)
	}
	return stdout, status, nil
}

func withOutput(err error, said string) error {
	if said == "" {
		return err
	}
	return fmt.Errorf("%w: %s", err, said)
}

// object reads what a task printed for the context: one JSON object.
func object(stdout []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(stdout))
	dec.UseNumber()
	var found map[string]any
	if err := dec.Decode(&found); err != nil || found == nil {
		return nil, fmt.Errorf("MergeStdoutJsonIntoContext: stdout is %s, expected one JSON object", fault.Quote(string(stdout[:min(len(stdout), 100)])))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("MergeStdoutJsonIntoContext: stdout goes on after the JSON object, expected one JSON object")
	}
	return found, nil
}

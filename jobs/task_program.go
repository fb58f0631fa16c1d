package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/capture"
	"kpm/settings"
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

// programTask runs an executable as the service account.
type programTask struct {
	command string
	path    string // absolute; empty means: find the command
	args    []settings.Template
	merge   bool
}

func absolute(path string) bool { return filepath.IsAbs(path) && !strings.ContainsRune(path, 0) }

// find returns the program: Jobs/bin first, then the secure path. Whether it
// may be run is the Starter's check (decision 6).
func (t *programTask) find(cfg *Config) (string, error) {
	candidates := []string{t.path}
	if t.path == "" {
		candidates = []string{cfg.Layout.JobBin(t.command, cfg.ProgramSuffix)}
		for _, dir := range core.Platform(cfg.Platform).SecurePath() {
			candidates = append(candidates, filepath.Join(dir, t.command+cfg.ProgramSuffix))
		}
	}
	for _, path := range candidates {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("no program %s; install it as %s", t.command, candidates[0])
}

func (t *programTask) do(ctx context.Context, r *run) (map[string]any, error) {
	path, err := t.find(&r.service.cfg)
	if err != nil {
		return nil, err
	}
	argv := []string{path}
	for _, template := range t.args {
		arg, err := template.Expand(r.argument)
		if err != nil {
			return nil, err
		}
		argv = append(argv, arg)
	}
	select {
	case r.service.programs <- struct{}{}:
		defer func() { <-r.service.programs }()
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for one of %d places: %w", maxPrograms, ctx.Err())
	}
	stdout, status, err := t.execute(ctx, r, core.ServiceSpec{
		As: r.principal, Path: path, Argv: argv, Env: r.environment(), Dir: r.service.cfg.Layout.Root(),
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

// execute runs the program to its end. status says how it failed; err, that it
// could not be run to its own end.
func (t *programTask) execute(ctx context.Context, r *run, spec core.ServiceSpec) (stdout []byte, status, err error) {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	out, outEnd, err := capture.First(maxStdout, func() { cut(errTooMuch) })
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
	process, err := r.service.cfg.Starter.StartService(ctx, spec)
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
		r.log.Debug("nothing left to end", "reason", killErr)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		reap, cancel := context.WithTimeout(context.WithoutCancel(ctx), reapWithin)
		defer cancel()
		if _, waitErr := process.Wait(reap); waitErr != nil {
			r.log.Warn("killed task is not gone", "process", process.ID(), "error", waitErr)
		}
	}
	stdout, truncated := out.Finish(outputWait)
	said := diag.Text(outputWait)
	switch {
	case err != nil:
		return nil, nil, withOutput(err, said)
	case truncated:
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
		return nil, fmt.Errorf("MergeStdoutJsonIntoContext: stdout is %s, expected one JSON object", settings.Quote(string(stdout[:min(len(stdout), 100)])))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("MergeStdoutJsonIntoContext: stdout goes on after the JSON object, expected one JSON object")
	}
	return found, nil
}

// environment is docs/settings.md, "Environment of launched processes".
func (r *run) environment() []string {
	env := append(r.service.cfg.Layout.Environment(r.service.cfg.APIBaseURL()),
		"KEEPER_RUN_ID="+r.principal.Run, "KEEPER_JOB_TOKEN="+r.token)
	if len(r.job.publish)+len(r.job.subscribe) > 0 {
		env = append(env, "KEEPER_JOB_ID="+r.job.id, "KEEPER_JOB_NAME="+r.job.name)
	}
	return env
}

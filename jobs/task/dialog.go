package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/capture"
	"kpm/core/dialog"
	"kpm/core/port"
	"kpm/settings"
)

// Dialogs is what tasks need that show the dialogs of controls. An answer goes by pipe
// to whoever verifies it, and into no context, history or argv (decision 28a).
type Dialogs struct {
	// Programs are the programs that show them, and what each is for.
	Programs map[string]core.Control
	// Satisfy has a control collected by show, for the request that a run was started
	// for, and returns when it is recorded, or with why it is not.
	Satisfy func(ctx context.Context, run core.Principal, id core.RequestID, control core.Control, show dialog.Show) error
	// Decide has an approver asked by show, on that desktop.
	Decide func(ctx context.Context, on dialog.Desktop, approval string, show dialog.Show) error
}

// maxAnswer bounds what is heard of a dialog, in bytes.
const maxAnswer = 16 << 10

// tokenControls is what a run that collects controls has in its context: what the
// request needs, as the service says it.
const tokenControls = "ControlList"

// names reports whether a ControlList names control, or says nothing that can be read.
func names(list string, control core.Control) bool {
	var controls []core.Control
	return json.Unmarshal([]byte(list), &controls) != nil || slices.Contains(controls, control)
}

// tokenApproval is what a run for an approver has in its context.
const tokenApproval = "ApprovalUid"

// Dialog is the kind of task that shows one of the published dialogs on the desktop of
// whoever made a request. Its program says nothing to the run, and no exit code of it
// allows anything (decision 27).
func Dialog(cfg Config) Kind {
	host := &dialogs{Dialogs: cfg.Dialogs, layout: cfg.Layout, platform: cfg.Platform, starter: cfg.Starter}
	return Kind{
		Type: core.AsUserDesktop.String(), Fields: programFields{},
		Takes: func(s *Source) bool {
			name, _ := host.named(s.look("command"))
			return name != ""
		},
		Compile: host.compile,
	}
}

// dialogs is what every such task shares.
type dialogs struct {
	Dialogs
	layout   settings.Layout
	platform core.Platform
	starter  Starter
}

// named finds a dialog by its name, which is published in two spellings (KeeperMfa).
func (h *dialogs) named(command string) (name string, control core.Control) {
	for name, control := range h.Programs {
		if strings.EqualFold(name, command) {
			return name, control
		}
	}
	return "", ""
}

func (h *dialogs) compile(s *Source) Task {
	var f programFields
	if !s.Decode(&f) {
		return nil
	}
	s.Arguments(f.Arguments) // which are not handed on: argv has the request's code alone
	t := &dialogTask{host: h}
	t.program, t.control = h.named(f.Command)
	return t
}

type dialogTask struct {
	host    *dialogs
	program string
	control core.Control
}

// Path implements what jobs.Service.Programs asks of tasks.
func (t *dialogTask) Path() string {
	return t.host.layout.JobBin(t.program, t.host.platform.ProgramSuffix())
}

// Missing implements Installed.
func (t *dialogTask) Missing() error {
	if path := t.Path(); !isFile(path) {
		return fmt.Errorf("there is no program %s: install it as %s", t.program, path)
	}
	return nil
}

func isFile(path string) bool {
	_, found := firstFile([]string{path})
	return found
}

// Run implements Task.
func (t *dialogTask) Run(ctx context.Context, r Run) (map[string]any, error) {
	show := func(ctx context.Context, on dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
		return t.show(ctx, r, on, q)
	}
	run := r.Principal()
	if run.Request != "" {
		// A job that shows one dialog after the other, as the published text has it, shows
		// those that nobody needs to no one: also when the request has moved on meanwhile.
		if list, err := r.Value(tokenControls); err == nil && !names(list, t.control) {
			return nil, nil
		}
		return nil, t.host.Satisfy(ctx, run, run.Request, t.control, show)
	}
	approval, err := r.Value(tokenApproval)
	if t.control != core.ControlApproval || err != nil {
		return nil, errors.New("this run was not started for a request")
	}
	user, _ := r.Value("UserName")
	session, _ := r.Value("SessionId")
	if user == "" || session == "" {
		return nil, errors.New("whose desktop is meant is not known: the event gives UserName and SessionId")
	}
	return nil, t.host.Decide(ctx, dialog.Desktop{User: user, Session: core.SessionID(session)}, approval, show)
}

// show runs the dialog to its end, and ends it when ctx does: with everything that it
// has started, within a moment.
func (t *dialogTask) show(ctx context.Context, r Run, on dialog.Desktop, q dialog.Question) (dialog.Answer, error) {
	if err := t.Missing(); err != nil {
		return dialog.Answer{}, err
	}
	questions, ask, err := os.Pipe()
	if err != nil {
		return dialog.Answer{}, err
	}
	defer ask.Close() // not before it has ended: a dialog that nobody waits for closes itself
	defer questions.Close()
	out, outEnd, err := capture.First(maxAnswer, func() {})
	if err != nil {
		return dialog.Answer{}, err
	}
	diag, diagEnd, err := capture.Last(stderrTail)
	if err != nil {
		outEnd.Close()
		out.Finish(0)
		return dialog.Answer{}, err
	}
	as, path := r.Principal(), t.Path()
	as.InUserSession = true
	process, err := t.host.starter.StartUser(ctx, core.UserSpec{
		ServiceSpec: core.ServiceSpec{
			As: as, Path: path, Argv: []string{path, "--request=" + q.Code}, Env: withoutContext(r.Environment()), Dir: t.host.layout.Root(),
			Stdin: questions, Stdout: outEnd, Stderr: diagEnd,
		},
		RunAs: core.AsUserDesktop, User: on.User, Session: on.Session,
	})
	outEnd.Close()
	diagEnd.Close()
	if err != nil {
		out.Finish(0)
		diag.Finish(0)
		return dialog.Answer{}, err
	}
	questions.Close()
	asked := q.Write(ask) // the pipe holds it, whether it is read or not
	ended, err := end(ctx, process)
	said, _ := out.Finish(outputWait)
	stderr, cut := diag.Finish(outputWait)
	if text := capture.OneLine(stderr, cut); text != "" {
		r.Log().Debug("a dialog has said something", "program", t.program, "output", text)
	}
	switch {
	case err != nil:
		return dialog.Answer{}, err
	case !ended || asked != nil:
		// It was killed, or fell: what it may have said before is not its answer.
		return dialog.Answer{Outcome: dialog.Declined}, nil
	}
	return dialog.ReadAnswer(bytes.NewReader(said)), nil
}

// end waits until a dialog has ended, with everything that it has started: its windows.
// It reports whether it ended by itself and well.
func end(ctx context.Context, process port.Process) (well bool, err error) {
	status, err := process.Wait(ctx)
	killed := process.Kill() // which is late if nothing of it is left
	if err != nil {
		reap, cancel := context.WithTimeout(context.WithoutCancel(ctx), reapWithin)
		defer cancel()
		if _, waitErr := process.Wait(reap); waitErr != nil {
			return false, errors.Join(err, killed, waitErr)
		}
		return false, err
	}
	return status.Code == 0 && status.Signal == 0, nil
}

// withoutContext leaves out what is the run's own business: a dialog reaches nothing.
func withoutContext(environment []string) (kept []string) {
	for _, variable := range environment {
		if !strings.HasPrefix(variable, "KEEPER_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/settings"
)

// screen plays desktops: each program that is started is a function.
type screen struct {
	people
	plays func(in io.Reader, out io.Writer, killed <-chan struct{}) core.ExitStatus
}

func (s *screen) StartUser(_ context.Context, spec core.UserSpec) (port.Process, error) {
	s.asked = append(s.asked, spec)
	if s.err != nil {
		return nil, s.err
	}
	// As a process has them: ends of its own.
	in, err1 := dup(spec.Stdin)
	out, err2 := dup(spec.Stdout)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	p := &player{killed: make(chan struct{}), ended: make(chan core.ExitStatus, 1)}
	go func() { // which ends with what it plays
		status := s.plays(in, out, p.killed)
		in.Close()
		out.Close()
		p.ended <- status
	}()
	return p, nil
}

type player struct {
	once   sync.Once
	killed chan struct{}
	ended  chan core.ExitStatus
}

func (p *player) ID() core.ProcessID         { return core.ProcessID{PID: 1, Start: 1} }
func (p *player) Signal(signal.Signal) error { return nil }
func (p *player) Kill() error {
	p.once.Do(func() { close(p.killed) })
	return nil
}

func (p *player) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

func (p *player) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case status := <-p.ended:
		p.ended <- status
		return status, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

func dup(f *os.File) (*os.File, error) {
	fd, err := unix.Dup(int(f.Fd()))
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// shown is a dialog's task, run for a request, and what became of its one question.
func shown(t *testing.T, ctx context.Context, s *screen, command string) (answer dialog.Answer, err error) {
	t.Helper()
	layout := settings.At(t.TempDir(), "")
	for _, name := range []string{"KeeperMFA", "KeeperApproval"} {
		path := layout.JobBin(name, "")
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	kinds := Bundled(Config{Layout: layout, Platform: core.Linux, Starter: s, Dialogs: Dialogs{
		Programs: map[string]core.Control{"KeeperMFA": core.ControlMFA, "KeeperApproval": core.ControlApproval},
		Satisfy: func(ctx context.Context, run core.Principal, id core.RequestID, control core.Control, show dialog.Show) error {
			if run.Request != "R1" || id != "R1" || control != core.ControlMFA {
				return fmt.Errorf("asked for %s of %s by %+v", control, id, run)
			}
			answer, err = show(ctx, dialog.Desktop{User: "ada", Session: "c2"}, dialog.Question{Kind: dialog.KindCode, Code: "ABCDEF", Text: "Enter your code:"})
			return err
		},
	}})
	run := &playedRun{principal: core.Principal{Kind: core.JobRun, Name: "j", Request: "R1"}}
	found, runErr := compile(t, kinds, "UserDesktop", `{"command": "`+command+`", "arguments": "--request={RequestId} --secret=x"}`).Run(ctx, run)
	if found != nil || !reflect.DeepEqual(run.report, Report{}) {
		t.Errorf("it left %v in the context, and %+v in the history", found, run.report)
	}
	return answer, errors.Join(err, runErr)
}

// A job that shows the published dialogs in a row, whatever is asked for, shows those
// that the request needs; a list that cannot be read leaves it to the launcher.
func TestADialogThatTheRequestDoesNotNeedIsNotShown(t *testing.T) {
	var asked []core.Control
	kinds := Bundled(Config{Layout: settings.At(t.TempDir(), ""), Platform: core.Linux, Dialogs: Dialogs{
		Programs: map[string]core.Control{"KeeperMFA": core.ControlMFA, "KeeperJustification": core.ControlJustify, "KeeperApproval": core.ControlApproval},
		Satisfy: func(_ context.Context, _ core.Principal, _ core.RequestID, control core.Control, _ dialog.Show) error {
			asked = append(asked, control)
			return nil
		},
	}})
	for list, want := range map[string][]core.Control{
		`["JUSTIFY"]`: {core.ControlJustify}, `["MFA","APPROVAL"]`: {core.ControlMFA, core.ControlApproval}, `[]`: nil,
		"?": {core.ControlMFA, core.ControlJustify, core.ControlApproval}, "": {core.ControlMFA, core.ControlJustify, core.ControlApproval},
	} {
		asked = nil
		run := &playedRun{principal: core.Principal{Kind: core.JobRun, Name: "j", Request: "R1"}, values: map[string]string{"ControlList": list}}
		for _, command := range []string{"KeeperMfa", "KeeperJustification", "KeeperApproval"} {
			if _, err := compile(t, kinds, "UserDesktop", `{"command": "`+command+`"}`).Run(t.Context(), run); err != nil {
				t.Errorf("%s for %s: %v", command, list, err)
			}
		}
		if !reflect.DeepEqual(asked, want) {
			t.Errorf("for %s: %v", list, asked)
		}
	}
}

// line reads what the dialog is asked.
func line(in io.Reader) string {
	q, err := dialog.ReadQuestion(in)
	return fmt.Sprint(q.Code, " ", q.Text, " ", err)
}

// What is entered goes to whoever verifies it, and the program knows nothing of the run.
func TestADialogsAnswerGoesToItsVerifier(t *testing.T) {
	for _, command := range []string{"KeeperMFA", "KeeperMfa"} { // both are published
		var asked string
		s := &screen{plays: func(in io.Reader, out io.Writer, _ <-chan struct{}) core.ExitStatus {
			asked = line(in)
			fmt.Fprintln(out, `{"outcome":"given","text":"123456"}`)
			return core.ExitStatus{}
		}}
		answer, err := shown(t, t.Context(), s, command)
		if err != nil || answer != (dialog.Answer{Outcome: dialog.Given, Text: "123456"}) || asked != "ABCDEF Enter your code: <nil>" {
			t.Errorf("%+v, %v, asked %q", answer, err, asked)
		}
		got := s.asked[0]
		if got.RunAs != core.AsUserDesktop || got.User != "ada" || got.Session != "c2" || !got.As.InUserSession || !strings.HasSuffix(got.Path, "Jobs/bin/KeeperMFA/KeeperMFA") {
			t.Errorf("%+v", got)
		}
		if !slices.Equal(got.Argv, []string{got.Path, "--request=ABCDEF"}) || !slices.Equal(got.Env, []string{"A=b"}) {
			t.Errorf("argv %q, environment %q", got.Argv, got.Env)
		}
	}
}

// Attack: the dialog is killed, or what the user has put in its place says something
// else. Nothing that it does but its one answer allows anything.
func TestADialogThatEndsOtherwiseHasDeclined(t *testing.T) {
	for name, plays := range map[string]func(in io.Reader, out io.Writer, killed <-chan struct{}) core.ExitStatus{
		"killed before it reads": func(io.Reader, io.Writer, <-chan struct{}) core.ExitStatus { return core.ExitStatus{Signal: 9} },
		"killed after it answers": func(in io.Reader, out io.Writer, _ <-chan struct{}) core.ExitStatus {
			line(in)
			fmt.Fprintln(out, `{"outcome":"given","text":"123456"}`)
			return core.ExitStatus{Signal: 9}
		},
		"a status of its own": func(_ io.Reader, out io.Writer, _ <-chan struct{}) core.ExitStatus {
			fmt.Fprintln(out, `{"outcome":"given"}`)
			return core.ExitStatus{Code: 1}
		},
		"status 0, and nothing said": func(io.Reader, io.Writer, <-chan struct{}) core.ExitStatus { return core.ExitStatus{} },
		"much too much": func(_ io.Reader, out io.Writer, killed <-chan struct{}) core.ExitStatus {
			for range 100 {
				fmt.Fprintln(out, strings.Repeat("x", 1<<16))
			}
			fmt.Fprintln(out, `{"outcome":"given"}`)
			return core.ExitStatus{}
		},
	} {
		if answer, err := shown(t, t.Context(), &screen{plays: plays}, "KeeperMFA"); err != nil || answer != (dialog.Answer{Outcome: dialog.Declined}) {
			t.Errorf("%s: %+v, %v", name, answer, err)
		}
	}
}

// A dialog that is not answered is killed with everything that it has started.
func TestADialogEndsInTime(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &screen{plays: func(in io.Reader, _ io.Writer, killed <-chan struct{}) core.ExitStatus {
		line(in)
		cancel()
		<-killed
		return core.ExitStatus{Signal: 9}
	}}
	if answer, err := shown(t, ctx, s, "KeeperMFA"); !errors.Is(err, context.Canceled) || answer.Outcome == dialog.Given {
		t.Errorf("%+v, %v", answer, err)
	}
}

// Where it cannot be started, that is said, and nobody has declined.
func TestADialogThatCannotBeStarted(t *testing.T) {
	s := &screen{people: people{err: core.NewError(core.Conflict, "nobody is logged in")}}
	if _, err := shown(t, t.Context(), s, "KeeperMFA"); err == nil || !strings.Contains(err.Error(), "nobody is logged in") {
		t.Errorf("%v", err)
	}
}

// Without a request there is nothing to ask for; but for an approver, who is asked on the
// desktop that the service's event names.
func TestWhomADialogIsFor(t *testing.T) {
	var decided []string
	layout := settings.At(t.TempDir(), "")
	kinds := Bundled(Config{Layout: layout, Platform: core.Linux, Dialogs: Dialogs{
		Programs: map[string]core.Control{"KeeperMFA": core.ControlMFA, "KeeperApproval": core.ControlApproval},
		Decide: func(_ context.Context, on dialog.Desktop, approval string, _ dialog.Show) error {
			decided = append(decided, fmt.Sprint(on.User, " ", on.Session, " ", approval))
			return nil
		},
	}})
	event := map[string]string{"ApprovalUid": "K7QP-3M2X", "UserName": "bob", "SessionId": "c3"}
	for _, tc := range []struct {
		command string
		values  map[string]string
		want    string
	}{
		{"KeeperApproval", event, ""},
		{"KeeperMFA", event, "not started for a request"},
		{"KeeperApproval", map[string]string{}, "not started for a request"},
		{"KeeperApproval", map[string]string{"ApprovalUid": "K7QP-3M2X", "UserName": "bob", "SessionId": ""}, "whose desktop"},
	} {
		_, err := compile(t, kinds, "UserDesktop", `{"command": "`+tc.command+`"}`).Run(t.Context(), &playedRun{principal: core.Principal{Kind: core.JobRun, Name: "j"}, values: tc.values})
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s %v: %v", tc.command, tc.values, err)
		}
	}
	if !slices.Equal(decided, []string{"bob c3 K7QP-3M2X"}) {
		t.Errorf("%q", decided)
	}
	if task := compile(t, kinds, "Service", `{"command": "KeeperMFA"}`); task == nil {
		t.Error("as a service task it is a program")
	} else if _, is := task.(*program); !is {
		t.Errorf("as a service task it is %T", task)
	}
}

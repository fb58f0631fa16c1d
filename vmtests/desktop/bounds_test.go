//go:build linux

package desktop

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/terminal"
)

// quick is an agent's settings: who is asked has five seconds.
const quick = `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0},"MqttBrokerSettings":{"Port":0},"Requests":{"PromptSeconds":5}}`

// TestADialogThatNobodyAnswers: it closes itself, and the request has expired.
func TestADialogThatNobodyAnswers(t *testing.T) {
	desk := newSeat(t, ann)
	logsIn(t, map[string]*seat{annsSession: desk})
	a := newAgent(t, demands(`"JUSTIFY"`), quick)
	request := asks(t, a, "id", "-u")
	w := desk.dialog()
	request.ends(1, "no reason was given")
	w.goes()
}

// TestWhoAsksGoesAway: so does the dialog.
func TestWhoAsksGoesAway(t *testing.T) {
	desk := newSeat(t, ann)
	logsIn(t, map[string]*seat{annsSession: desk})
	a := newAgent(t, demands(`"JUSTIFY"`), "")
	request := asks(t, a, "id", "-u")
	w := desk.dialog()
	if err := request.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	w.goes()
}

// TestTwoRequestsAtOnce: the second is not asked about while the first is, and each
// dialog has the code that its own requester was told.
func TestTwoRequestsAtOnce(t *testing.T) {
	desk := newSeat(t, ann)
	logsIn(t, map[string]*seat{annsSession: desk})
	a := newAgent(t, demands(`"JUSTIFY"`), "")
	first := asks(t, a, "id", "-u")
	w := desk.dialog()
	second := asks(t, a, "id", "-un")
	eventually(t, "the second request waits", func() bool {
		out, err := a.Admin(t.Context(), "jobs", "runs", "privilege-elevation-policy-controls", "--json")
		return err == nil && strings.Count(out, `"state":"running"`) == 2
	})
	if found := desk.windows(); len(found) != 1 || found[0].pid != w.pid {
		t.Errorf("%d dialogs at once", len(found))
	}
	shows(t, "zenity", w.code, "Command: id -u\n")
	w.types("one", "Return")
	first.ends(0, "0\n")
	next := desk.dialog(w)
	if next.code == w.code || !strings.Contains(second.output(), next.code) {
		t.Errorf("the second dialog is of %s, its requester was told %q", next.code, second.output())
	}
	shows(t, "zenity", next.code, "Command: id -un\n")
	next.types("two", "Return")
	second.ends(0, "root\n")
}

// TestAskpassAtATerminal: with sudo's -A the question is on the desktop, though there is a
// terminal, which shows the request's code and nothing to answer.
// https://github.com/sudo-project/sudo/issues/477
func TestAskpassAtATerminal(t *testing.T) {
	desk := newSeat(t, ann)
	logsIn(t, map[string]*seat{annsSession: desk})
	a := newAgent(t, demands(`"JUSTIFY"`), "")
	term, err := terminal.Open(ann, 24, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = term.Close() }()
	cmd := a.Sudo(t.Context(), ann, "-A", "id", "-u")
	term.Attach(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := desk.dialog()
	if err := term.Expect("request "+w.code+": answer the question on your desktop", 30*time.Second); err != nil {
		t.Error(err)
	}
	w.types("a printer", "Return")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if err := term.Expect("\n0\r", 30*time.Second); err != nil {
		t.Error(err)
	}
	if out := term.Output(); strings.Contains(out, "Reason for running") {
		t.Errorf("the terminal has %q", out)
	}
	// Whoever was asked on the desktop is not asked at the terminal as well.
	eventually(t, "the job that has asked succeeds", func() bool {
		runs, err := a.Admin(t.Context(), "jobs", "runs")
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`privilege-elevation-policy-controls +succeeded`).MatchString(runs)
	})
}

// TestWhereThereIsNoDialog: nothing that shows one is installed, the person is logged in
// nowhere, or may not be asked; without a terminal that is a refusal, which says so.
func TestWhereThereIsNoDialog(t *testing.T) {
	desk := newSeat(t, ann)
	a := newAgent(t, demands(`"JUSTIFY"`), "")
	asks(t, a, "id").ends(1, "you gave no reason; there is no terminal here: to be asked, run keeperAgent --approval in another terminal, and ask again (request ")
	logsIn(t, map[string]*seat{annsSession: desk})
	asks(t, a, "-n", "id").ends(1, "-n forbids asking you for it")
	alone(t, "none of them")
	asks(t, a, "id").ends(1, "you could not be asked on your desktop: there is no program that shows dialogs: install zenity, kdialog or yad")
}

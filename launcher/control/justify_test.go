package control

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/controls"
)

// asking answers one question, and keeps it.
type asking struct {
	answer string
	err    error
	asked  []string
}

func (a *asking) ask(_ context.Context, p Prompt) (string, error) {
	a.asked = append(a.asked, p.Text)
	return a.answer, a.err
}

func question(a *asking) Question {
	return Question{
		Subject: core.Subject{Executable: core.Executable{Path: "/usr/bin/vi"}, Target: core.Account{Name: "root"}},
		What:    "/usr/bin/vi as root (request ABCDEF: vi)",
		Ask:     a.ask,
	}
}

func TestWhatCountsAsAReason(t *testing.T) {
	for answer, want := range map[string]string{
		"the disk is full":              "the disk is full",
		" \tthe disk is full \n":        "the disk is full",
		"7":                             "7",
		"ü":                             "ü",
		"a\x1b[2Jb\nc":                  "a\uFFFD[2Jb\uFFFDc", // it is shown to whoever reads the journal
		strings.Repeat("ü", 1000):       strings.Repeat("ü", 1000),
		strings.Repeat(" ", 2000) + "x": "x",
	} {
		a := &asking{answer: answer}
		record, err := Justify{}.Collect(t.Context(), question(a))
		if err != nil || record != want {
			t.Errorf("%.40q: %.40q, %v; expected %.40q", answer, record, err, want)
		}
		if len(a.asked) != 1 || a.asked[0] != "Reason for running /usr/bin/vi as root (request ABCDEF: vi): " {
			t.Errorf("asked %q", a.asked)
		}
	}
}

// The settings say how long a reason is, and offer some: who is asked sees both.
func TestReasonsAreOfferedAndHaveALength(t *testing.T) {
	j := Justify{Minimum: 10, Reasons: []string{"install", "repair\x1b"}}
	for answer, want := range map[string]string{
		"1": "install", " 2 ": "repair\uFFFD", "the disk is full": "the disk is full", "0123456789": "0123456789",
		"3": "", "0": "", "-1": "", "too short": "", "1 2": "",
	} {
		a := &asking{answer: answer}
		record, err := j.Collect(t.Context(), question(a))
		var refused *Refused
		if record != want || (err == nil) != (want != "") || err != nil && (!errors.As(err, &refused) || refused.Message != "your reason is shorter than 10 characters") {
			t.Errorf("%q: %q, %v", answer, record, err)
		}
		if want := `Reason for running /usr/bin/vi as root (request ABCDEF: vi) (1 for "install"; 2 for "repair\x1b"; your own words, at least 10 characters): `; a.asked[0] != want {
			t.Errorf("asked %q, expected %q", a.asked[0], want)
		}
	}
	q := question(&asking{})
	q.NonInteractive, q.Offered = true, "1"
	if record, err := j.Collect(t.Context(), q); err != nil || record != "install" {
		t.Errorf("--reason 1: %q, %v", record, err)
	}
	if hint := (Justify{Reasons: []string{"a"}}).hint(); hint != ` (1 for "a"; your own words)` {
		t.Error(hint)
	}
}

func TestWhatIsNoReason(t *testing.T) {
	late := fmt.Errorf("prompt: %w", context.DeadlineExceeded)
	for name, tc := range map[string]struct {
		answer string
		err    error
		says   string
		late   bool
	}{
		"nothing":     {"", nil, "you gave no reason", false},
		"blanks":      {" \t\u00a0", nil, "you gave no reason", false},
		"punctuation": {"?!-...", nil, "you gave no reason", false},
		"controls":    {"\x00\x1b\x7f", nil, "you gave no reason", false},
		"too much":    {strings.Repeat("ü", 1001), nil, "longer than 1000 characters", false},
		"declined":    {"a reason", fmt.Errorf("prompt: %w", core.ErrCancelled), "you gave no reason", false},
		"too late":    {"a reason", late, "no reason was given", true},
	} {
		record, err := Justify{}.Collect(t.Context(), question(&asking{answer: tc.answer, err: tc.err}))
		var refused *Refused
		if !errors.As(err, &refused) || record != "" {
			t.Errorf("%s: %q, %v", name, record, err)
		} else if !strings.Contains(refused.Message, tc.says) || refused.Late != tc.late {
			t.Errorf("%s: %+v", name, refused)
		}
	}
}

// A person who is gone has refused nothing.
func TestAPersonWhoCannotBeAsked(t *testing.T) {
	var refused *Refused
	_, err := Justify{}.Collect(t.Context(), question(&asking{err: os.ErrClosed}))
	if !errors.Is(err, os.ErrClosed) || errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}

func TestAPersonWhoMustNotBeAsked(t *testing.T) {
	a := &asking{answer: "a reason"}
	q := question(a)
	q.NonInteractive = true
	var refused *Refused
	if _, err := (Justify{}).Collect(t.Context(), q); !errors.As(err, &refused) || !strings.Contains(refused.Message, "without -n") || refused.Late {
		t.Errorf("%v", err)
	}
	if len(a.asked) != 0 {
		t.Errorf("asked %q", a.asked)
	}
}

// Attack: a file's name turns the person's terminal into something else.
func TestTheQuestionIsPrintable(t *testing.T) {
	a := &asking{answer: "a reason"}
	q := question(a)
	q.What = "/tmp/a\x1b]0;b\n"
	if _, err := (Justify{}).Collect(t.Context(), q); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(a.asked[0], "\x1b\n") {
		t.Errorf("asked %q", a.asked)
	}
}

// The table of core/controls and the files here say the same.
func TestBundledControlsAreThoseThatTheTableVerifies(t *testing.T) {
	commands := map[string]bool{}
	for _, c := range Bundled(nil, nil, nil, Justify{}) {
		if commands[c.Command()] {
			t.Errorf("two controls are collected by %s", c.Command())
		}
		commands[c.Command()] = true
	}
	for _, row := range controls.Standard() {
		found := false
		for _, c := range Bundled(nil, nil, nil, Justify{}) {
			found = found || c.Name() == row.Name
		}
		if found != (row.Verified != "") {
			t.Errorf("%s: verified %q, and there is a file for it: %v", row.Name, row.Verified, found)
		}
	}
}

package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/mfa"
)

// factors have one right code.
type factors struct {
	ready      error
	remembered bool
	checked    []mfa.Try
	kept       []core.PolicyRef
	fails      error
}

func (f *factors) Kind() string { return mfa.KindCodes }

func (f *factors) Ready(core.Account) error { return f.ready }

func (f *factors) Verify(ctx context.Context, person core.Account, request core.RequestID, c port.Conversation) (string, error) {
	answer, err := c.Ask(ctx, "enter your code: ", true)
	if err != nil {
		return "", err
	}
	return f.Check(ctx, mfa.Try{User: person.User, Request: request, Answer: string(answer)})
}

func (f *factors) Check(_ context.Context, t mfa.Try) (string, error) {
	f.checked = append(f.checked, t)
	switch {
	case f.fails != nil:
		return "", f.fails
	case t.Answer == "123456":
		return "code", nil
	case t.Answer == "lock":
		return "", &mfa.Wrong{Message: "too many", Locked: time.Minute}
	}
	return "", &mfa.Wrong{Message: "the code is wrong"}
}

func (f *factors) Remembered(mfa.Place, []core.PolicyRef) bool { return f.remembered }
func (f *factors) Remember(_ mfa.Place, p []core.PolicyRef)    { f.kept = p }

// answering answers one question after the other, and keeps them.
type answering struct {
	answers []string
	err     error
	asked   []Prompt
}

func (a *answering) ask(_ context.Context, p Prompt) (string, error) {
	a.asked = append(a.asked, p)
	if len(a.answers) == 0 {
		return "", a.err
	}
	next := a.answers[0]
	a.answers = a.answers[1:]
	return next, nil
}

func coded(a *answering) Question {
	return Question{
		Subject: core.Subject{Caller: core.Account{User: "1000", Name: "anna"}}, Request: "REQUEST",
		What: "/usr/bin/id as root (request REQUES: id)", Policies: []core.PolicyRef{{ID: "p"}}, Ask: a.ask,
	}
}

func TestACodeIsAskedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		answers []string
		err     error
		asked   int
		refused string // "" if it is satisfied
		late    bool
	}{
		"right":                   {[]string{"123456"}, nil, 1, "", false},
		"right the third time":    {[]string{"1", "2", "123456"}, nil, 3, "", false},
		"wrong three times":       {[]string{"1", "2", "3", "123456"}, nil, 3, "the code is wrong", false},
		"locked out on the way":   {[]string{"1", "lock", "123456"}, nil, 2, "too many", false},
		"declined":                {nil, fmt.Errorf("prompt: %w", core.ErrCancelled), 1, "you entered no code", false},
		"declined after a wrong":  {[]string{"1"}, fmt.Errorf("prompt: %w", core.ErrCancelled), 2, "you entered no code", false},
		"nobody at the terminal":  {nil, fmt.Errorf("prompt: %w", context.DeadlineExceeded), 1, "no code was entered", true},
		"an answer without a use": {[]string{"", "", ""}, nil, 3, "the code is wrong", false},
	} {
		a, f := &answering{answers: tc.answers, err: tc.err}, &factors{}
		record, err := MFA{[]mfa.Factor{f}, f}.Collect(t.Context(), coded(a))
		var refused *Refused
		switch {
		case tc.refused == "" && (err != nil || record != "code" || len(f.kept) != 1):
			t.Errorf("%s: %q, %v, remembered %v", name, record, err, f.kept)
		case tc.refused != "" && (!errors.As(err, &refused) || refused.Message != tc.refused || refused.Late != tc.late || f.kept != nil):
			t.Errorf("%s: %v, remembered %v", name, err, f.kept)
		}
		if len(a.asked) != tc.asked {
			t.Errorf("%s: asked %+v", name, a.asked)
		}
		for _, p := range a.asked {
			if !p.Secret || !strings.HasSuffix(p.Text, "keepersudo: to run /usr/bin/id as root (request REQUES: id), enter your code: ") {
				t.Errorf("%s: asked %+v", name, p)
			}
		}
		for _, try := range f.checked {
			if try.User != "1000" || try.Request != "REQUEST" {
				t.Errorf("%s: %+v", name, try)
			}
		}
	}
}

func TestWhoIsNotAskedForACode(t *testing.T) {
	fault := errors.New("torn page")
	for name, tc := range map[string]struct {
		factors        factors
		nonInteractive bool
		anew           bool
		asked          int
		says           string // of a refusal; "" if it is satisfied
		is             error
	}{
		"remembered":                   {factors{remembered: true}, false, false, 0, "", nil},
		"remembered, with -n":          {factors{remembered: true}, true, false, 0, "", nil},
		"remembered, with -k":          {factors{remembered: true}, false, true, 1, "", nil},
		"with -n":                      {factors{}, true, false, 0, "without -n", nil},
		"not enrolled":                 {factors{ready: mfa.ErrNotEnrolled}, false, false, 0, "KeeperAdminCLI mfa enroll anna", nil},
		"not enrolled, with -n":        {factors{ready: mfa.ErrNotEnrolled}, true, false, 0, "KeeperAdminCLI mfa enroll anna", nil},
		"locked out":                   {factors{ready: &mfa.Wrong{Message: "too many", Locked: time.Minute}}, false, false, 0, "too many", nil},
		"enrolled no more":             {factors{fails: mfa.ErrNotEnrolled}, false, false, 1, "KeeperAdminCLI mfa enroll anna", nil},
		"a machine key that is away":   {factors{fails: core.NewError(core.Unavailable, "no TPM")}, false, false, 1, "cannot be verified now", nil},
		"a fault that is nobody's say": {factors{fails: fault}, false, false, 1, "", fault},
	} {
		a := &answering{answers: []string{"123456"}}
		q := coded(a)
		q.NonInteractive, q.Anew = tc.nonInteractive, tc.anew
		_, err := MFA{[]mfa.Factor{&tc.factors}, &tc.factors}.Collect(t.Context(), q)
		var refused *Refused
		switch {
		case tc.is != nil && (!errors.Is(err, tc.is) || errors.As(err, &refused)),
			tc.says == "" && tc.is == nil && err != nil,
			tc.says != "" && (!errors.As(err, &refused) || !strings.Contains(refused.Message, tc.says)):
			t.Errorf("%s: %v", name, err)
		}
		if len(a.asked) != tc.asked || tc.factors.kept != nil {
			t.Errorf("%s: asked %+v, remembered %v", name, a.asked, tc.factors.kept)
		}
	}
}

// The person is told what was wrong before they try again.
func TestTheSecondQuestionSaysWhy(t *testing.T) {
	a := &answering{answers: []string{"1", "123456"}}
	if _, err := (MFA{[]mfa.Factor{&factors{}}, &factors{}}).Collect(t.Context(), coded(a)); err != nil {
		t.Fatal(err)
	}
	texts := slices.Collect(func(yield func(string) bool) {
		for _, p := range a.asked {
			if !yield(p.Text) {
				return
			}
		}
	})
	if strings.Contains(texts[0], "wrong") || !strings.HasPrefix(texts[1], "keepersudo: the code is wrong. ") {
		t.Errorf("%q", texts)
	}
}

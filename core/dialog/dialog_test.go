package dialog

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestAQuestionArrivesAsItWasAsked(t *testing.T) {
	for _, want := range []Question{
		{Kind: KindCode, Code: "ABCDEF", Program: "/usr/bin/id", Target: "root", CommandLine: "id -u", Text: "Enter your code", Secret: true},
		{Kind: KindDecision, Code: "K7QP-3M2X", Program: "/usr/bin/id", Target: "root", CommandLine: "id", Directory: "/", Requester: "ann", Behind: "a service", Reason: "the disk is full", Text: "Approve it?"},
	} {
		var b bytes.Buffer
		if err := want.Write(&b); err != nil {
			t.Fatal(err)
		}
		if got, err := ReadQuestion(&b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

// Attack: whoever starts a dialog by hand has it show what moves the cursor, hides text,
// or looks like another line.
func TestWhatIsShownIsPrintable(t *testing.T) {
	q, err := ReadQuestion(strings.NewReader(`{"kind":"code","code":"A\nB","program":"/tmp/a\u001b]0;b","target":"\u202eroot","commandLine":"x\r","text":"t\u0000"}` + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range q.Lines() {
		if strings.ContainsAny(line, "\n\r\x1b\x00\u202e") {
			t.Errorf("%q", line)
		}
	}
	if n := len(q.Lines()); n != 7 {
		t.Errorf("%d lines: %q", n, q.Lines())
	}
}

func TestWhatIsNoQuestion(t *testing.T) {
	for _, text := range []string{"", "x", "{}\n", `{"kind":"password"}` + "\n", `{"kind":"code"}`, strings.Repeat(" ", maxQuestion) + "{}\n"} {
		if _, err := ReadQuestion(strings.NewReader(text)); !errors.Is(err, ErrLine) {
			t.Errorf("%.20q: %v", text, err)
		}
	}
}

// A dialog that says nothing, is cut off, or says what nobody knows has declined.
func TestWhatIsNoAnswerDeclines(t *testing.T) {
	for text, want := range map[string]Outcome{
		"":                           Declined,
		`{"outcome":"given"`:         Declined,
		`{"outcome":"given"}`:        Declined, // it was killed before the line ended
		`{"outcome":"yes"}` + "\n":   Declined,
		`{"text":"123456"}` + "\n":   Declined,
		"null\n":                     Declined,
		`{"outcome":"given"}` + "\n": Given,
		`{"outcome":"denied"}` + "\n{\"outcome\":\"approved\"}\n":                       Denied,
		`{"outcome":"approved","text":"` + strings.Repeat("x", maxAnswer) + `"}` + "\n": Declined,
	} {
		if got := ReadAnswer(strings.NewReader(text)); got.Outcome != want {
			t.Errorf("%.40q: %+v, expected %s", text, got, want)
		}
	}
	if got := ReadAnswer(iotest.ErrReader(errors.New("gone"))); got.Outcome != Declined {
		t.Errorf("%+v", got)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"outcome":"given","text":"123456"}` + "\n"))
	f.Add([]byte(`{"outcome":"unavailable"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		switch a := ReadAnswer(bytes.NewReader(line)); a.Outcome {
		case Given, Approved, Denied, Unavailable, Declined:
			if a.Outcome != Declined && !bytes.Contains(line, []byte("\n")) {
				t.Errorf("%q is %+v", line, a)
			}
		default:
			t.Errorf("%q is %+v", line, a)
		}
	})
}

func FuzzQuestion(f *testing.F) {
	f.Add([]byte(`{"kind":"code","code":"ABCDEF","text":"x"}` + "\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		q, err := ReadQuestion(bytes.NewReader(line))
		if err != nil {
			return
		}
		for _, shown := range append(q.Lines(), q.Title()) {
			if strings.ContainsAny(shown, "\n\r\x1b\x00") {
				t.Errorf("%q shows %q", line, shown)
			}
		}
	})
}

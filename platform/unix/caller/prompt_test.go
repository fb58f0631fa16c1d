//go:build linux

package caller

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

func ask(text string, seconds uint32) []byte {
	return door.Prompt{Text: text, TimeoutSeconds: seconds}.Encode()
}

func TestPrompt(t *testing.T) {
	for _, tc := range []struct {
		name string
		keys string
		want door.Answer
	}{
		{"an answer", "the printer is stuck\r", door.Answer{Text: "the printer is stuck"}},
		{"corrected", "tha\x7fe\r", door.Answer{Text: "the"}},
		{"not ASCII", "größer\r", door.Answer{Text: "größer"}},
		{"nothing", "\r", door.Answer{}},
		{"Ctrl-C", "the\x03", door.Answer{Cancelled: true}},
		{"Ctrl-\\", "the\x1c", door.Answer{Cancelled: true}},
		{"end of file", "\x04", door.Answer{Cancelled: true}},
		{"end of file behind text", "the\x04", door.Answer{Cancelled: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, w := newAgent(t), newWindow(t)
			// Whatever state the terminal was left in, the question can be answered.
			makeRaw(t, w.slave)
			before := *w.modes()
			w.press("typed before\r")
			w.arrived(len("typed before\r"))
			s := a.command(t, "id").at(w).begin()
			v := a.accept(t)
			v.send(door.TypePrompt, ask("Reason\x1b[2J\u202e:", 20))
			w.see("Reason\ufffd[2J\ufffd: ")
			w.press(tc.keys)
			if got := v.answer(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if after := *w.modes(); after != before {
				t.Errorf("settings before %+v, after %+v", before, after)
			}
			v.send(door.TypeRefused, door.Refused{Code: door.CodeDenied, Message: "no"}.Encode())
			s.want(1)
			w.see("keepersudo: no")
			if echo, _, _ := strings.Cut(tc.keys, "\x7f"); tc.want.Text != "" && !strings.Contains(w.text(), ": "+strings.TrimSpace(echo)) {
				t.Errorf("no echo on %q", w.text())
			}
		})
	}
}

func TestPromptTwice(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	for _, answer := range []string{"one", "two"} {
		v.send(door.TypePrompt, ask("Say "+answer+":", 20))
		w.see("Say " + answer + ": ")
		w.press(answer + "\r")
		if got := v.answer(); got.Text != answer {
			t.Errorf("got %+v", got)
		}
	}
	v.exit(0)
	s.want(0)
}

func TestPromptTimesOut(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	v.send(door.TypePrompt, ask("Reason:", 0))
	if got := v.answer(); !got.Cancelled {
		t.Errorf("got %+v", got)
	}
	v.exit(0)
	s.want(0)
}

// Attack: what is typed when the question is over runs in the shell, or shows
// (CVE-2025-64170).
func TestServiceGoesOnWithoutAnswer(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	before := *w.modes()
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	v.send(door.TypePrompt, ask("Reason:", 20))
	w.see("Reason: ")
	w.press("half an ans")
	w.see("half an ans")
	v.send(door.TypeRefused, door.Refused{Code: door.CodeExpired, Message: "too late"}.Encode())
	s.want(1)
	v.gone()
	if after := *w.modes(); after != before {
		t.Errorf("settings before %+v, after %+v", before, after)
	}
	w.press("\n")
	if got := read(t, w.slave, 1); got != "\n" {
		t.Errorf("left for the shell: %q", got)
	}
}

func TestPromptWithNobodyToAsk(t *testing.T) {
	a := newAgent(t)
	t.Run("no terminal", func(t *testing.T) {
		s := a.command(t, "id").begin()
		v := a.accept(t)
		v.send(door.TypePrompt, ask("Reason:", 20))
		if got := v.answer(); !got.Cancelled {
			t.Errorf("got %+v", got)
		}
		v.exit(0)
		s.want(0)
	})
	t.Run("told not to", func(t *testing.T) {
		w := newWindow(t)
		s := a.command(t, "-n", "id").at(w).begin()
		v := a.accept(t)
		v.send(door.TypePrompt, ask("Reason:", 20))
		if got := v.answer(); !got.Cancelled {
			t.Errorf("got %+v", got)
		}
		v.exit(0)
		s.want(0)
		if w.text() != "" {
			t.Errorf("shown: %q", w.text())
		}
	})
}

// The question is asked at the terminal, wherever 0 to 2 go.
func TestPromptWithEverythingRedirected(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "id").at(w)
	s.Stdin, s.Stdout, s.SysProcAttr.Ctty = strings.NewReader("not the answer\n"), &s.stdout, 2
	s.begin()
	v := a.accept(t)
	v.send(door.TypePrompt, ask("Reason:", 20))
	w.see("Reason: ")
	w.press("this\r")
	if got := v.answer(); got.Text != "this" {
		t.Errorf("got %+v", got)
	}
	v.exit(0)
	s.want(0)
}

func TestSignalsAtThePrompt(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGHUP} {
		a, w := newAgent(t), newWindow(t)
		makeRaw(t, w.slave)
		before := *w.modes()
		s := a.command(t, "id").at(w).begin()
		v := a.accept(t)
		v.send(door.TypePrompt, ask("Reason:", 20))
		w.see("Reason: ")
		must(t, s.Process.Signal(sig))
		v.gone()
		v.letGo()
		s.want(128 + int(sig))
		if after := *w.modes(); after != before {
			t.Errorf("settings before %+v, after %+v", before, after)
		}
	}
}

// A secret is not shown, whether it is entered, cancelled or corrected, and the
// terminal shows what is typed afterwards.
func TestASecretIsNotShown(t *testing.T) {
	for name, tc := range map[string]struct {
		keys string
		want door.Answer
	}{
		"entered":   {"314159\r", door.Answer{Text: "314159"}},
		"corrected": {"9\x7f314159\r", door.Answer{Text: "314159"}},
		"cancelled": {"314159\x03", door.Answer{Cancelled: true}},
	} {
		t.Run(name, func(t *testing.T) {
			a, w := newAgent(t), newWindow(t)
			before := *w.modes()
			s := a.command(t, "id").at(w).begin()
			v := a.accept(t)
			v.send(door.TypePrompt, door.Prompt{Text: "Code:", TimeoutSeconds: 20, Secret: true}.Encode())
			w.see("Code: ")
			w.press(tc.keys)
			if got := v.answer(); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if after := *w.modes(); after != before {
				t.Errorf("settings before %+v, after %+v", before, after)
			}
			v.send(door.TypeRefused, door.Refused{Code: door.CodeDenied, Message: "no"}.Encode())
			s.want(1)
			w.see("\r\nkeepersudo: no")
			if strings.Contains(w.text(), "3") {
				t.Errorf("shown: %q", w.text())
			}
		})
	}
}

package local_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"kpm/api/local"
	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher"
	"kpm/launcher/refusal"
)

func TestSignalsAreForwarded(t *testing.T) {
	q := newDoor(t, func(_ context.Context, _ launcher.Submission, c launcher.Caller, signals <-chan signal.Sent) launcher.Result {
		if err := c.Started(); err != nil {
			t.Error(err)
		}
		return launcher.Result{Exit: core.ExitStatus{Code: int(10*(<-signals).Signal + (<-signals).Signal)}}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if kind, _, files := c.receive(t); kind != door.TypeStarted || files != nil {
		t.Fatalf("frame %d with %d descriptors, want Started alone", kind, len(files))
	}
	c.send(t, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Terminate}))
	c.send(t, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Interrupt}))
	if exit := c.final(t); exit != (door.Exit{Code: 152}) {
		t.Errorf("%+v", exit)
	}
}

// A flood of signals fills a buffer and no more: the end of the caller is still
// noticed.
func TestASignalFloodDoesNotHideTheEnd(t *testing.T) {
	gone := make(chan error, 1)
	q := newDoor(t, func(ctx context.Context, _ launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		<-ctx.Done()
		gone <- context.Cause(ctx)
		return launcher.Result{}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	for range 1000 {
		c.send(t, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Interrupt}))
	}
	c.Close()
	if err := <-gone; !strings.Contains(err.Error(), "the caller is gone") {
		t.Errorf("ended by %v", err)
	}
}

func TestTheTerminalIsHandedOver(t *testing.T) {
	master := belongings(t)[0]
	q := newDoor(t, func(_ context.Context, _ launcher.Submission, c launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		if err := c.HandOver(master); err != nil {
			t.Error(err)
		}
		return launcher.Result{}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	kind, _, files := c.receive(t)
	if kind != door.TypeTerminal || len(files) != 1 || files[0].Name() != master.Name() {
		t.Fatalf("frame %d with %v, want Terminal with the master", kind, files)
	}
	files[0].Close()
	c.final(t)
}

func TestPrompts(t *testing.T) {
	type outcome struct {
		text string
		err  error
	}
	outcomes := make(chan outcome)
	ask := make(chan time.Duration)
	q := newDoor(t, func(ctx context.Context, _ launcher.Submission, c launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		for timeout := range ask {
			text, err := c.Prompt(ctx, launcher.Prompt{Text: "Why\x1b[2J? "}, timeout)
			outcomes <- outcome{text, err}
		}
		return launcher.Result{}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	prompted := func(timeout time.Duration) {
		t.Helper()
		ask <- timeout
		kind, body, _ := c.receive(t)
		prompt, err := door.DecodePrompt(body)
		if want := (door.Prompt{Text: "Why\uFFFD[2J? ", TimeoutSeconds: uint32(timeout / time.Second)}); err != nil || kind != door.TypePrompt || prompt != want {
			t.Fatalf("frame %d %+v (%v), want %+v", kind, prompt, err, want)
		}
	}
	answer := func(a door.Answer) { c.send(t, door.TypeAnswer, a.Encode()) }

	prompted(120 * time.Second)
	answer(door.Answer{Text: "because"})
	if got := <-outcomes; got.text != "because" || got.err != nil {
		t.Errorf("answered: %q, %v", got.text, got.err)
	}
	prompted(120 * time.Second)
	answer(door.Answer{Cancelled: true})
	if got := <-outcomes; !errors.Is(got.err, core.ErrCancelled) {
		t.Errorf("cancelled: %q, %v", got.text, got.err)
	}
	prompted(0)
	if got := <-outcomes; !errors.Is(got.err, context.DeadlineExceeded) {
		t.Errorf("unanswered: %q, %v", got.text, got.err)
	}
	// The reply to the prompt that timed out arrives during the next one, and
	// must not be taken for its answer.
	prompted(120 * time.Second)
	answer(door.Answer{Text: "late"})
	answer(door.Answer{Text: "in time"})
	if got := <-outcomes; got.text != "in time" {
		t.Errorf("after a late reply: %q, %v", got.text, got.err)
	}
	// The caller goes away instead of answering.
	prompted(120 * time.Second)
	c.Close()
	if got := <-outcomes; got.err == nil || !strings.Contains(got.err.Error(), "the caller is gone") {
		t.Errorf("gone: %q, %v", got.text, got.err)
	}
	close(ask)
}

// Whoever breaks the rules after the request is taken for gone.
func TestRulesAfterTheRequest(t *testing.T) {
	causes := make(chan error)
	q := newDoor(t, func(ctx context.Context, _ launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeFailed, Message: "gone"}}
	})
	files := belongings(t)
	allClosed := onlyOurs(t, files)
	for name, act := range map[string]func(c *doorPipe){
		"hangs up":               func(c *doorPipe) { c.Close() },
		"sends a frame of ours":  func(c *doorPipe) { c.send(t, door.TypeExit, door.Exit{}.Encode()) },
		"sends an unknown frame": func(c *doorPipe) { c.send(t, 99, nil) },
		"asks twice":             func(c *doorPipe) { c.send(t, door.TypeRequest, plainRequest.Encode()) },
		"forwards KILL":          func(c *doorPipe) { c.send(t, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Kill})) },
		"forwards STOP":          func(c *doorPipe) { c.send(t, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Stop})) },
		"forwards nothing known": func(c *doorPipe) { c.send(t, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: 1 << 31})) },
		"forwards half a number": func(c *doorPipe) { c.send(t, door.TypeSignal, []byte{1}) },
		"answers no question":    func(c *doorPipe) { c.send(t, door.TypeAnswer, door.Answer{}.Encode()) },
		"sends a huge frame":     func(c *doorPipe) { c.WriteWithFiles([]byte{2, 0xff, 0xff, 0xff, 0xff}) },
		"sends another file":     func(c *doorPipe) { c.WriteWithFiles([]byte{2}, files[0]) },
		"sends a file and a word": func(c *doorPipe) {
			c.WriteWithFiles(door.Append(nil, door.TypeSignal, door.EncodeSignal(signal.Sent{Signal: signal.Terminate})), files[0])
		},
	} {
		c := q.connect(t, somebody("1000"), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files[:4]...)
		act(c)
		if cause := <-causes; !strings.Contains(cause.Error(), "the caller is gone") {
			t.Errorf("%s: ended by %v", name, cause)
		}
		if name != "hangs up" {
			if refused, _ := c.final(t).(door.Refused); refused.Code != door.CodeFailed {
				t.Errorf("%s: %+v, want the one final frame", name, refused)
			}
		}
		c.Close()
	}
	allClosed()
}

// The service never waits for a caller who does not read.
func TestACallerWhoDoesNotRead(t *testing.T) {
	outcome := make(chan error)
	q := newDoor(t, func(ctx context.Context, _ launcher.Submission, c launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		_, err := c.Prompt(ctx, launcher.Prompt{Text: "Why?"}, time.Hour)
		outcome <- err
		<-ctx.Done() // the caller counts as gone
		outcome <- context.Cause(ctx)
		return launcher.Result{}
	}, func(c *local.Config) { c.Write = 10 * time.Millisecond })
	c := q.connect(t, somebody("1000"), nil)
	c.Fill()
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	for range 2 {
		if err := <-outcome; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want a deadline exceeded", err)
		}
	}
	// It hears nothing more, and the door is free for the next.
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v, want io.EOF", err)
	}
}

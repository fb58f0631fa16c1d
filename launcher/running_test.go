package launcher

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/core/wire"
	"kpm/launcher/request"
)

func TestSignalsReachTheCommand(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		v := w.elevate(w.submission("tool"))
		p := v.run()
		v.signals <- signal.Sent{Signal: signal.Terminate}
		v.signals <- signal.Sent{Signal: signal.User1, By: uint32(p.id.PID)} // the command's own
		v.signals <- signal.Sent{Signal: signal.Interrupt, By: 4711}
		synctest.Wait()
		if diff := cmp.Diff([]signal.Signal{signal.Terminate, signal.Interrupt}, p.all()); diff != "" {
			t.Error(diff)
		}
		p.exit(core.ExitStatus{Signal: 15})
		if r := <-v.result; r.Exit.Shell() != 143 {
			t.Errorf("ended with %+v", r)
		}
	})
}

// The caller cannot know whether its command runs yet: the signal says so.
func TestASignalBeforeTheLaunchEndsTheRequest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		v := w.elevate(w.submission("tool"))
		v.signals <- signal.Sent{Signal: signal.Continue} // asks for nothing
		synctest.Wait()
		v.signals <- signal.Sent{Signal: signal.Interrupt}
		r := <-v.result
		if r.Refused == nil || r.Refused.Code != door.CodeDenied || !strings.Contains(r.Refused.Message, "interrupted") {
			t.Errorf("ended with %+v", r)
		}
	})
}

func TestASignalDuringTheLaunchIsTheCommands(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		v := w.elevate(w.submission("tool"))
		w.launch.onRelease = func() { v.signals <- signal.Sent{Signal: signal.User2} }
		p := v.run()
		synctest.Wait()
		if diff := cmp.Diff([]signal.Signal{signal.User2}, p.all()); diff != "" {
			t.Error(diff)
		}
		p.exit(core.ExitStatus{Code: 9})
		if r := <-v.result; r.Exit.Code != 9 {
			t.Errorf("ended with %+v", r)
		}
	})
}

func TestACommandWhoseCallerLeavesIsEnded(t *testing.T) {
	for name, c := range map[string]struct {
		stubborn bool
		after    time.Duration
		signals  []signal.Signal
		ends     core.ExitStatus
	}{
		// Whatever is left of the group is killed too, with the caller gone.
		"hangs up":         {false, 0, []signal.Signal{signal.Hangup, killed}, core.ExitStatus{Signal: 1}},
		"ignores a hangup": {true, 2 * time.Second, []signal.Signal{signal.Hangup, killed, killed}, core.ExitStatus{Signal: 9}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				v := w.elevate(w.submission("tool"))
				p := v.run()
				p.stubborn = c.stubborn
				begun := time.Now()
				v.leave()
				r := <-v.result
				if r.Exit != c.ends || time.Since(begun) != c.after {
					t.Errorf("ended with %+v after %s", r, time.Since(begun))
				}
				if diff := cmp.Diff(c.signals, p.all()); diff != "" {
					t.Error(diff)
				}
				if !strings.HasSuffix(w.recorded(), "launched ended") {
					t.Errorf("recorded: %s", w.recorded())
				}
			})
		})
	}
}

func TestACallerWhoLeavesWhileItIsLaunchedIsEndedToo(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	w.launch.onPrepare = v.leave
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		t.Fatal(err)
	}
	<-v.caller.started
	if r := <-v.result; r.Exit.Signal != 1 {
		t.Errorf("ended with %+v", r)
	}
}

func TestTheTerminalIsTheCommandsOwn(t *testing.T) {
	w := newWorld(t)
	tty := w.path("tty")
	w.program("tty", "", false)
	k := w.submission("tool")
	k.Streams.Input.Close()
	k.Streams.Output.Close()
	k.Streams.Input, k.Streams.Output = w.handle(tty), w.handle(tty)
	k.Rows, k.Columns = 33, 111
	stderr := k.Streams.Error
	v := w.elevate(k)
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		t.Fatal(err)
	}
	if master := <-v.caller.started; master != w.terminals.master {
		t.Error("the caller did not get the terminal's master side")
	}
	spec := w.launch.last().spec
	if spec.Terminal != w.terminals || spec.Streams != (port.Streams{Error: stderr}) {
		t.Errorf("streams %v, terminal %v", spec.Streams, spec.Terminal)
	}
	if o := w.terminals.owner; o.Account.User != "0" || o.RunAs != core.AsUserElevated || w.terminals.rows != 33 || w.terminals.columns != 111 {
		t.Errorf("a terminal of %+v with %d rows of %d", o, w.terminals.rows, w.terminals.columns)
	}
	w.launch.last().process.exit(core.ExitStatus{})
	<-v.result
	if !isClosedFile(w.terminals.master) || !isClosedFile(w.terminals.slave) {
		t.Error("the service kept an end of the terminal")
	}
}

// Whatever breaks between allowed and running: nothing runs, nothing stays
// registered, nothing stays open, and the caller hears `failed` once.
func TestWhatBreaksOnTheWayRunsNothing(t *testing.T) {
	broken := errors.New("broken")
	cases := map[string]struct {
		breaks func(w *world)
		says   string
	}{
		"the program is replaced": {func(w *world) {
			if err := os.Chtimes(w.path("bin/tool"), time.Now(), time.Now().Add(time.Hour)); err != nil {
				w.t.Fatal(err)
			}
		}, "changed after it was decided on"},
		"the program is removed":     {func(w *world) { os.Remove(w.path("bin/tool")) }, "it is gone"},
		"no terminal":                {func(w *world) { w.terminals.openErr = broken }, "terminal: broken"},
		"no child":                   {func(w *world) { w.launch.prepareErr = broken }, "prepare: broken"},
		"exec fails":                 {func(w *world) { w.launch.releaseErr = broken }, "it could not be started: broken"},
		"the journal is gone":        {func(w *world) { w.journal.Close() }, "the journal cannot be written"},
		"the journal goes meanwhile": {func(w *world) { w.launch.onPrepare = func() { w.journal.Close() } }, "the journal cannot be written"},
		"it takes too long":          {func(w *world) { w.launch.prepareErr = context.DeadlineExceeded }, "it took too long"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.program("tty", "", false)
			k := w.submission("tool")
			k.Streams.Input.Close()
			k.Streams.Input = w.handle(w.path("tty"))
			v := w.elevate(k)
			v.answer(core.Allow)
			v.event(wire.EventLaunch)
			c.breaks(w)
			if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err == nil {
				t.Error("the job was told that it runs")
			}
			if r := v.refused(); r.Code != "failed" || !strings.Contains(r.Message, c.says) {
				t.Errorf("%s: %s", r.Code, r.Message)
			}
			for _, h := range w.launch.held {
				if who := w.identify(h.id); who.Kind != core.Admin {
					t.Errorf("it is still registered: %+v", who)
				}
				if h.process == nil && !h.discarded && w.launch.releaseErr == nil {
					t.Error("a child still waits")
				}
			}
			if w.terminals.master != nil && (!isClosedFile(w.terminals.master) || !isClosedFile(w.terminals.slave)) {
				t.Error("the terminal is still open")
			}
			if v.state() != request.Failed {
				t.Errorf("it is %s", v.state())
			}
			if strings.HasPrefix(name, "the journal") {
				w.openJournal() // the world's cleanup closes one
			}
		})
	}
}

func TestWhatBreaksBeforeRefuses(t *testing.T) {
	cases := map[string]struct {
		breaks func(w *world)
		code   string
	}{
		"the journal":  {func(w *world) { w.journal.Close() }, "unavailable"},
		"the question": {func(w *world) { w.bus.askErr = errors.New("x") }, "failed"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.breaks(w)
			if r := w.begin(w.submission("tool")).refused(); r.Code != c.code {
				t.Errorf("%s: %s", r.Code, r.Message)
			}
			if name == "the journal" {
				w.openJournal()
			}
		})
	}
	t.Run("the event", func(t *testing.T) {
		w := newWorld(t)
		v := w.elevate(w.submission("tool"))
		w.bus.raiseErr = errors.New("x")
		v.answer(core.Allow)
		if r := v.refused(); r.Code != "failed" {
			t.Errorf("%s: %s", r.Code, r.Message)
		}
	})
}

func TestPrivateCopiesGoWithTheRequest(t *testing.T) {
	w := newWorld(t)
	copies := func() int {
		entries, err := os.ReadDir(w.path("exec"))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	v := w.elevate(w.submission(w.path("home/mine")))
	if copies() != 1 {
		t.Errorf("%d copies of a program that its owner can change", copies())
	}
	// What was decided is what is launched: the original may change now.
	w.program("home/mine", "\x7fELF something else", false)
	p := v.run()
	if got := w.launch.last(); got.content != "\x7fELF mine" {
		t.Errorf("launched %q", got.content)
	}
	p.exit(core.ExitStatus{})
	<-v.result
	if copies() != 0 || w.seals.Copies.Taken() != 0 {
		t.Errorf("%d copies are left, %d bytes", copies(), w.seals.Copies.Taken())
	}
	v = w.elevate(w.submission(w.path("home/mine")))
	v.answer(core.Deny)
	v.refused()
	if copies() != 0 {
		t.Error("the copy of a denied program is left")
	}
}

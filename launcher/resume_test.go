package launcher

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/launcher/start"
)

// restart stops the service in good order and starts the next one.
func (w *world) restart() {
	w.t.Helper()
	if err := w.Close(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	if w.between != nil {
		w.between()
	}
	w.journal.Close()
	replay := w.openJournal()
	w.registry = start.NewRegistry(w.tree, self)
	w.cfg.Journal, w.cfg.Registry = w.journal, w.registry
	next := New(w.cfg)
	w.Launcher = next
	w.t.Cleanup(func() {
		if !next.isClosed() {
			next.Close(context.Background())
		}
	})
	if err := next.Recover(replay); err != nil {
		w.t.Fatal(err)
	}
	w.PolicyListens()
}

// resubmission is a submission of the same process with the same key.
func (w *world) resubmission(key door.Key, running bool) Submission {
	w.t.Helper()
	k := w.submission("tool")
	k.Key, k.Running = key, running
	return k
}

// launched is a command that runs, and its caller's key.
func (w *world) launched() (*visit, *fakeProcess, door.Key) {
	w.t.Helper()
	k := w.submission("tool")
	v := w.elevate(k)
	return v, v.run(), k.Key
}

func leftLater(t *testing.T, v *visit) {
	t.Helper()
	if r := <-v.result; !r.Later || r.Refused != nil {
		t.Errorf("the service stops: %+v", r)
	}
}

func TestTheNextServiceSaysHowACommandEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		before, between, after bool // when the command ends: before the stop, until the next start, until the caller is back
	}{
		"its answer was not heard":     {before: true},
		"it ends between the services": {between: true},
		"it ends before its caller":    {after: true},
		"it goes on":                   {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v, p, key := w.launched()
			status := core.ExitStatus{Code: 7}
			if tc.before {
				p.exit(status)
				<-v.result
				w.leftovers.looks.Wait()
			} else {
				defer leftLater(t, v)
			}
			if tc.between {
				w.between = func() { p.exit(status) }
			}
			w.restart()
			if tc.after {
				p.exit(status)
			}
			again := w.begin(w.resubmission(key, true))
			<-again.caller.started
			if !tc.before && !tc.between && !tc.after {
				again.signals <- signal.Sent{Signal: signal.User1}
				for !slices.Equal(p.all(), []signal.Signal{signal.User1}) {
					time.Sleep(time.Millisecond)
				}
				if got := w.identify(p.id); got.Kind != core.User {
					t.Errorf("the command is %v", got.Kind)
				}
				p.exit(status)
			}
			if r := <-again.result; r.Refused != nil || r.Later || r.Exit != status {
				t.Errorf("%+v, %v", r, r.Refused)
			}
			w.leftovers.looks.Wait()
			if got := w.recorded(); got != "opened evaluating allowed launching launched ended" {
				t.Errorf("recorded: %s", got)
			}
			if !slices.Contains(w.launch.forgotten, p.id) {
				t.Error("how it ended is kept for ever")
			}
			if len(w.resumed) != 0 || len(w.present) != 0 || w.running.Taken() != 0 {
				t.Errorf("%d commands, %d callers and %d places are kept", len(w.resumed), len(w.present), w.running.Taken())
			}
		})
	}
}

func TestWhatWasNotLaunchedIsAskedAnew(t *testing.T) {
	w := newWorld(t)
	k := w.submission("tool")
	v := w.elevate(k)
	w.restart()
	leftLater(t, v)
	again := w.elevate(w.resubmission(k.Key, false))
	if again.id == v.id {
		t.Error("it is the same request")
	}
	again.run().exit(core.ExitStatus{Code: 4})
	if r := <-again.result; r.Exit.Code != 4 {
		t.Errorf("%+v", r)
	}
	if got := w.recorded(); got != "opened evaluating failed opened evaluating allowed launching launched ended" {
		t.Errorf("recorded: %s", got)
	}
}

// unreleased is a world whose service was killed between the record of a launch and the
// release, started again, and whose journal says by now what became of it.
func unreleased(t *testing.T) (*world, Submission) {
	t.Helper()
	w := newWorld(t)
	k := w.submission("tool")
	for _, r := range []journal.Record{
		{Type: journal.Opened, Request: "A", Caller: k.journalled()},
		{Type: journal.Launched, Request: "A", Child: &journal.Child{PID: 999, Start: 9, Group: "g"}},
	} {
		if err := w.journal.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	for _, r := range w.resumed {
		<-r.done
	}
	return w, k
}

// A service that ends between the record and the release has run nothing: that is known,
// and not guessed, also to the next one if the one that has found out ends before the
// caller comes back, and whether or not the caller was told that it runs.
func TestWhatWasNotReleasedIsAskedAnew(t *testing.T) {
	for _, tc := range []struct{ later, running bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		w, k := unreleased(t)
		if tc.later {
			w.restart()
		}
		again := w.begin(w.resubmission(k.Key, tc.running))
		<-again.caller.started // of what was not released
		again.asked = <-w.bus.asks
		again.id = again.asked.RequestID
		again.run().exit(core.ExitStatus{Code: 4})
		if r := <-again.result; r.Refused != nil || r.Exit.Code != 4 {
			t.Errorf("%+v: %+v, %v", tc, r, r.Refused)
		}
		if got := w.recorded(); !strings.HasPrefix(got, "opened launched failed opened ") {
			t.Errorf("%+v: recorded: %s", tc, got)
		}
	}
}

// Nothing runs twice: a caller who was told that the command runs gets no other.
func TestACommandThatIsForgottenIsNotStartedAgain(t *testing.T) {
	w := newWorld(t)
	if r := w.begin(w.resubmission(door.Key{9}, true)).refused(); r.Code != door.CodeFailed || !strings.Contains(r.Message, "restarted") {
		t.Errorf("%s: %s", r.Code, r.Message)
	}
	if got := w.recorded(); got != "" {
		t.Errorf("recorded: %s", got)
	}
}

// Attack: somebody has learned another's key, and asks with it. The key itself is
// nowhere to be found.
func TestAStolenKeyIsOfNoUse(t *testing.T) {
	w := newWorld(t)
	var said bytes.Buffer
	w.cfg.Log = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug}))
	_, p, key := w.launched()
	w.restart()
	for name, peer := range map[string]core.Peer{
		"another process of theirs": {User: "1000", Processes: []core.ProcessID{{PID: client.PID + 1, Start: client.Start}}, SameIdentity: true},
		"a later one with its pid":  {User: "1000", Processes: []core.ProcessID{{PID: client.PID, Start: client.Start + 1}}, SameIdentity: true},
		"another user":              {User: "1001", Processes: []core.ProcessID{client}, SameIdentity: true},
	} {
		for _, running := range []bool{true, false} {
			k := w.resubmission(key, running)
			k.Peer = peer
			if r := w.begin(k).refused(); r.Code != door.CodeDenied || !strings.Contains(r.Message, "another process") {
				t.Errorf("%s: %s: %s", name, r.Code, r.Message)
			}
		}
	}
	// Nor may its owner ask twice at once.
	again := w.begin(w.resubmission(key, true))
	<-again.caller.started
	if r := w.begin(w.resubmission(key, true)).refused(); r.Code != door.CodeUnavailable {
		t.Errorf("twice: %s: %s", r.Code, r.Message)
	}
	p.exit(core.ExitStatus{})
	<-again.result
	if len(p.all()) > 0 || w.launch.last().id != p.id {
		t.Errorf("the command got %v", p.all())
	}
	journal, err := readAll(w.path("Audit"))
	if err != nil {
		t.Fatal(err)
	}
	for place, text := range map[string]string{"log": said.String(), "journal": journal} {
		if bytes.Contains([]byte(text), key[:]) || strings.Contains(text, hex.EncodeToString(key[:])) {
			t.Errorf("the %s shows the key", place)
		}
	}
}

// A caller who does not come back, since their process has ended, is gone, as if
// the service had seen it.
func TestACallerWhoDoesNotComeBackIsGone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		v, p, _ := w.launched()
		w.restart()
		leftLater(t, v)
		time.Sleep(time.Hour)
		if len(p.all()) > 0 {
			t.Fatalf("while its caller is there the command got %v", p.all())
		}
		w.tree.Die(client)
		time.Sleep(2 * lookAfterCaller)
		synctest.Wait()
		if !slices.Contains(p.all(), signal.Hangup) || !strings.HasSuffix(w.recorded(), "ended") || len(w.resumed) > 0 {
			t.Errorf("the command got %v, recorded %s, %d are kept", p.all(), w.recorded(), len(w.resumed))
		}
		w.restart() // and nothing of it is left to resume
		if len(w.resumed) > 0 {
			t.Errorf("%d are kept", len(w.resumed))
		}
	})
}

// What was launched before counts for whoever has paid for it, also where they
// would not be let in any more.
func TestResumedCommandsCount(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.Limits.MaxRunningPerUser = 2 })
	for range 2 {
		k := w.submission("tool")
		k.Peer.Share = "strangers"
		v := w.elevate(k)
		v.run()
		defer leftLater(t, v)
	}
	w.cfg.Limits.MaxRunningPerUser = 1
	w.restart()
	stranger := w.submission("tool")
	stranger.Peer.Share = "strangers"
	if r := w.begin(stranger).refused(); r.Code != door.CodeUnavailable || !strings.Contains(r.Message, "MaxRunningPerUser") {
		t.Errorf("one more of theirs: %s: %s", r.Code, r.Message)
	}
	other := w.elevate(w.submission("tool"))
	other.answer(core.Deny)
	other.refused()
	if w.running.Taken() != 2 {
		t.Errorf("%d places are taken", w.running.Taken())
	}
}

// Of a command whose watcher was ended nobody can say how it ended. It is said so.
func TestAnEndThatIsNotKnown(t *testing.T) {
	w := newWorld(t)
	v, p, key := w.launched()
	w.restart()
	leftLater(t, v)
	p.lose()
	r := w.begin(w.resubmission(key, true)).refused()
	if r.Code != door.CodeFailed || !strings.Contains(r.Message, "how it ended is not known") {
		t.Errorf("%s: %s", r.Code, r.Message)
	}
	if state, _ := w.State(v.id); state != request.Failed {
		t.Errorf("it is %s", state)
	}
}

package launcher

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/launcher/start"
)

func TestWhatACommandLeavesBehindStaysRegistered(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	p := v.run()
	daemon := core.ProcessID{PID: 2000, Start: 9}
	w.tree.Members[daemon] = p.id
	w.tree.Full[p.id] = true
	p.exit(core.ExitStatus{})
	<-v.result
	w.leftovers.looks.Wait()
	if slices.Contains(p.all(), killed) || len(w.tree.Killed) > 0 {
		t.Error("a background process was killed though its caller stayed")
	}
	if got := w.identify(daemon); got.Kind != core.User {
		t.Errorf("what an elevation left behind is %v", got.Kind)
	}
	if !strings.HasSuffix(w.recorded(), "launched ended left") {
		t.Errorf("recorded: %s", w.recorded())
	}
	// Once it is gone, the next end notices.
	w.tree.Set(p.id, false)
	w.tree.Dead[daemon] = true
	v = w.elevate(w.submission("tool"))
	v.run().exit(core.ExitStatus{})
	<-v.result
	w.leftovers.looks.Wait()
	if who := w.identify(p.id); !strings.HasSuffix(w.recorded(), "gone") || who.Kind != core.Admin {
		t.Errorf("recorded: %s; still registered: %+v", w.recorded(), who)
	}
}

// What earlier commands have left is looked at once a second, however many commands end
// meanwhile, and once more after the last one.
func TestWhatIsLeftIsLookedAtSeldom(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		const left, commands = 100, 50
		for i := range left {
			other := core.ProcessID{PID: 5000 + i, Start: 1}
			w.tree.Set(other, true)
			w.leftovers.keep(core.RequestID(fmt.Sprint(i)), leftover{Child: journal.Child{PID: other.PID, Start: other.Start, Group: "g"}, who: "0"})
		}
		command := func() {
			v := w.elevate(w.submission("tool"))
			v.run().exit(core.ExitStatus{})
			<-v.result
			time.Sleep(2 * lookAgain)
		}
		begun := time.Now()
		for range commands {
			command()
		}
		for i := range left {
			w.tree.Set(core.ProcessID{PID: 5000 + i, Start: 1}, false)
		}
		command()
		w.leftovers.looks.Wait()
		looks := int(time.Since(begun)/time.Second) + 2
		if w.tree.Groups > commands+1+looks*left {
			t.Errorf("%d groups were looked at, want each command's and %d times what was left", w.tree.Groups, looks)
		}
		if n := strings.Count(w.recorded(), "gone"); n != left {
			t.Errorf("%d of %d groups are on record as gone", n, left)
		}
	})
}

// A command whose helper does not end, such as one that somebody has stopped, keeps its
// place for a moment, and nobody else's.
func TestHelpersThatStayAreWaitedForTogether(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		begun := time.Now()
		for i := range 10 {
			w.leftovers.add(ended{
				id: core.RequestID(fmt.Sprint(i)), gone: func(ctx context.Context) { <-ctx.Done() },
				leftover: leftover{Child: journal.Child{PID: 5000 + i, Start: 1, Group: "g"}, who: "0"},
			})
		}
		w.leftovers.looks.Wait()
		// The first one is looked at alone, the others are afterwards.
		if took := time.Since(begun); took > 3*goneTime {
			t.Errorf("it took %s", took)
		}
	})
}

// The groups that are left are carried through the journal. There are never so
// many of them that one record could not hold them.
func TestWhatCommandsLeaveBehindIsBounded(t *testing.T) {
	w := newWorld(t)
	other := core.ProcessID{PID: 5000, Start: 1}
	w.tree.Full[other] = true
	for i := range maxUserLeft {
		w.leftovers.keep(core.RequestID(fmt.Sprint(i)), leftover{Child: journal.Child{PID: other.PID, Start: other.Start, Group: "g"}, who: "1000"})
	}
	leave := func(user core.UserID) bool {
		k := w.submission("tool")
		k.Peer.User = user
		v := w.elevate(k)
		p := v.run()
		w.tree.Set(p.id, true)
		p.exit(core.ExitStatus{})
		<-v.result
		w.leftovers.looks.Wait()
		return slices.Contains(w.tree.Killed, p.id)
	}
	if !leave("1000") {
		t.Error("one user's leave no end behind")
	}
	if leave("0") {
		t.Error("another user's was ended with it")
	}
	full := journal.Record{Type: journal.Segment}
	for range 4096 + 64 { // what may run, and what nobody may have heard of
		full.Open = append(full.Open, journal.Unfinished{Request: core.NewRequestID(), Since: 1 << 40, Last: journal.Launched,
			Child:  &journal.Child{PID: 1 << 22, Start: 1 << 50, Group: "cgroup:/sys/fs/cgroup/kpm/kpm-" + rand.Text()},
			Caller: &journal.Caller{Key: rand.Text() + "000000", PID: 1 << 22, Start: 1 << 50, User: "4294967295", Payer: "strangers"}})
	}
	for range maxLeft {
		full.Open = append(full.Open, journal.Unfinished{Request: core.NewRequestID(), Since: 1 << 40, Last: journal.Left,
			Child: &journal.Child{PID: 1 << 22, Start: 1 << 50, Group: "cgroup:/sys/fs/cgroup/kpm/kpm-" + rand.Text()}})
	}
	if line, err := json.Marshal(full); err != nil || len(line) > journal.MaxLine {
		t.Errorf("%d bytes, a record has at most %d (%v)", len(line), journal.MaxLine, err)
	}
}

func TestAnOrderlyStopLeavesCommandsAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		long := w.elevate(w.submission("tool"))
		stays := long.run()
		asking := w.elevate(w.submission("tool"))
		begun := time.Now()
		if err := w.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]*visit{"who waits": asking, "whose command runs": long, "who comes too late": w.begin(w.submission("tool"))} {
			if r := <-v.result; !r.Later || r.Refused != nil {
				t.Errorf("a caller %s is told %+v", name, r)
			}
		}
		if len(stays.all()) != 0 || long.state() != request.Running || asking.state() != request.Failed {
			t.Errorf("the command got %v and is %s, what waited is %s", stays.all(), long.state(), asking.state())
		}
		if took := time.Since(begun); took > 0 {
			t.Errorf("the stop waited %s for a command that goes on", took)
		}
	})
}

// Where the system cannot tell the next service how a command ends, the command
// goes on all the same, and its caller is told.
func TestAnOrderlyStopWhereNothingIsResumed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, func(_ *world, c *Config) { c.Facts.Resumes = false })
		long := w.elevate(w.submission("tool"))
		stays := long.run()
		w.Close(context.Background())
		if r := long.refused(); r.Code != "failed" || !strings.Contains(r.Message, "goes on as process 1000") {
			t.Errorf("%s: %s", r.Code, r.Message)
		}
		if len(stays.all()) != 0 || long.state() != request.Ended {
			t.Errorf("it got signals %v and is %s", stays.all(), long.state())
		}

		// The next service leaves it alone and grants it nothing.
		w.journal.Close()
		replay := w.openJournal()
		w.cfg.Journal, w.cfg.Registry = w.journal, start.NewRegistry(w.tree, self)
		next := New(w.cfg)
		w.tree.Full[stays.id] = true
		if err := next.Recover(replay); err != nil {
			t.Fatal(err)
		}
		w.registry = w.cfg.Registry
		if got := w.identify(stays.id); len(w.tree.Killed) != 0 || got.Kind != core.User {
			t.Errorf("killed %v, and the command is %v", w.tree.Killed, got.Kind)
		}
		next.Close(context.Background())

		// The one after that finds it gone.
		w.journal.Close()
		w.tree.Full[stays.id] = false
		replay = w.openJournal()
		w.cfg.Journal = w.journal
		next = New(w.cfg)
		if err := next.Recover(replay); err != nil || !strings.HasSuffix(w.recorded(), "left gone") {
			t.Errorf("%v, recorded: %s", err, w.recorded())
		}
		next.Close(context.Background())
	})
}

func TestAfterACrashEveryOpenRequestFails(t *testing.T) {
	w := newWorld(t)
	put := func(records ...journal.Record) {
		for _, r := range records {
			if err := w.journal.Append(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	child := &journal.Child{PID: 70, Start: 7, Group: "g"}
	put(journal.Record{Type: journal.Opened, Request: "A"},
		journal.Record{Type: journal.Opened, Request: "B"}, journal.Record{Type: journal.Pending, Request: "B"},
		journal.Record{Type: journal.Opened, Request: "C"}, journal.Record{Type: journal.Launching, Request: "C"},
		journal.Record{Type: journal.Opened, Request: "D"}, journal.Record{Type: journal.Launched, Request: "D", Child: child},
		journal.Record{Type: journal.Opened, Request: "E"}, journal.Record{Type: journal.Denied, Request: "E"})
	w.journal.Close()
	replay := w.openJournal()
	w.cfg.Journal = w.journal
	l := New(w.cfg)
	w.tree.KillErr = errors.New("one remains")
	var said bytes.Buffer
	l.cfg.Log = slog.New(slog.NewTextHandler(&said, nil))
	replay.Fault, replay.Cut = &journal.Fault{File: "journal-1", Line: 3, Found: "x", Expected: "y"}, 17
	if err := l.Recover(replay); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "journal-1, line 3") || !strings.Contains(said.String(), "bytes=17") {
		t.Errorf("logged %s", said.String())
	}
	got := map[core.RequestID]journal.Record{}
	for _, r := range w.records() {
		if r.Type == journal.Failed {
			got[r.Request] = r
		}
	}
	for _, id := range []core.RequestID{"A", "B", "C", "D"} {
		if !strings.HasPrefix(got[id].Message, "service-restarted") || got[id].Cause != "fault" {
			t.Errorf("%s: %+v", id, got[id])
		}
	}
	if d := got["D"]; d.Killed != 2 || d.Message != "service-restarted: one remains" || len(got) != 4 {
		t.Errorf("the running one: %+v", d)
	}
	if diff := cmp.Diff([]core.ProcessID{child.ID()}, w.tree.Killed); diff != "" {
		t.Errorf("ended groups: %s", diff)
	}
	l.Close(context.Background())
	w.journal.Close()
	if replay := w.openJournal(); len(replay.Open) != 0 {
		t.Errorf("still open: %+v", replay.Open)
	}
}

func TestCopiesOfAnEarlierServiceAreRemoved(t *testing.T) {
	w := newWorld(t)
	if err := os.WriteFile(w.path("exec/old"), nil, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(w.path("exec"), 0o777); err != nil {
		t.Fatal(err)
	}
	newSealer(t, w.seals)
	entries, err := os.ReadDir(w.path("exec"))
	info, statErr := os.Stat(w.path("exec"))
	if err != nil || statErr != nil || len(entries) != 0 || info.Mode().Perm() != 0o711 {
		t.Errorf("%d files left, mode %v", len(entries), info.Mode())
	}
}

// A child that waits for a file system of its caller's cannot be ended. It has
// the slot of its request until it is gone: there are never more of them than
// one user may have requests.
func TestAChildThatDoesNotEndKeepsItsPlace(t *testing.T) {
	w := newWorld(t, func(_ *world, c *Config) { c.Limits.MaxOpenPerUser = 1 })
	w.launch.releaseErr = context.DeadlineExceeded
	v := w.elevate(w.submission("tool"))
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err == nil {
		t.Error("it was launched")
	}
	v.refused()
	if r := w.begin(w.submission("tool")).refused(); r.Code != door.CodeUnavailable {
		t.Errorf("while the child is there: %+v", r)
	}
	w.tree.Die(w.launch.last().ID())
	v = w.elevate(w.submission("tool"))
	v.answer(core.Deny)
	v.refused()
	if len(w.stuck) != 0 {
		t.Errorf("%d children are remembered", len(w.stuck))
	}
}

// What was begun for a caller cannot be broken off either: the service stops
// without it.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		hung := make(chan struct{})
		w.launch.onRelease = func() { <-hung }
		v := w.elevate(w.submission("tool"))
		v.answer(core.Allow)
		v.event(wire.EventLaunch)
		go w.Launch(context.Background(), v.job(wire.EventLaunch), v.id)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := w.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("closed: %v", err)
		}
		close(hung)
		<-v.result
	})
}

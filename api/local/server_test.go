package local_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kpm/api/local"
	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/signal"
	"kpm/launcher"
	"kpm/launcher/refusal"
)

func TestOneUserCannotTakeAllSlots(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	q := newDoor(t, func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
		select {
		case inside <- true:
			<-leave
		case <-leave:
		}
		return launcher.Result{}
	}, func(c *local.Config) { c.Callers, c.Turn = fair.Bounds{Each: 2, All: 3}, time.Millisecond })
	files := belongings(t)[:4]
	open := sync.OnceFunc(func() { close(leave) })
	var callers sync.WaitGroup
	defer callers.Wait()
	defer open()
	enter := func(uid string) {
		t.Helper()
		eventually(t, func() bool { // who has just been refused may not have left
			c := q.connect(t, somebody(uid), nil)
			_ = c.WriteWithFiles(door.Append(nil, door.TypeRequest, plainRequest.Encode()), files...)
			final := make(chan any, 1)
			callers.Go(func() { final <- c.final(t) })
			select {
			case <-inside:
				return true
			case <-final:
				return false
			}
		})
	}
	refused := func(uid string) {
		t.Helper()
		c := q.connect(t, somebody(uid), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files...)
		if got, _ := c.final(t).(door.Refused); got.Code != door.CodeUnavailable {
			t.Errorf("user %s: %+v, want %s", uid, got, door.CodeUnavailable)
		}
	}
	enter("1000")
	enter("1000")
	refused("1000")
	enter("1001")
	refused("1002") // three are inside
	open()
	// Slots are given back.
	eventually(t, func() bool {
		c := q.connect(t, somebody("1002"), nil)
		_ = c.WriteWithFiles(door.Append(nil, door.TypeRequest, plainRequest.Encode()), files...) // it may be refused already
		return c.final(t) == door.Exit{}
	})
}

// Attack: connect and say nothing. It costs the others nothing, and the user
// who does it only what they might say themself.
func TestASilentCrowdAtTheDoor(t *testing.T) {
	q := newDoor(t, ok, func(c *local.Config) {
		c.Silent = fair.Bounds{Each: 3, All: 7, Aside: 2}
		c.People = fair.People{Foremost: func(who core.UserID) bool { return who == "0" }}
	})
	var silent []*doorPipe
	for _, uid := range []string{"1000", "1001", "1000", "1001", "1000"} {
		silent = append(silent, q.connect(t, somebody(uid), nil))
	}
	if got, _ := q.connect(t, somebody("1000"), nil).final(t).(door.Refused); got.Code != door.CodeUnavailable || !strings.Contains(got.Message, "this user has 3 callers") {
		t.Errorf("one more of theirs: %+v", got)
	}
	files := belongings(t)[:4]
	for _, uid := range []string{"1002", "1003", "0", "0", "0"} {
		c := q.connect(t, somebody(uid), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files...)
		if exit := c.final(t); exit != (door.Exit{Code: 3}) {
			t.Errorf("user %s: %+v", uid, exit)
		}
	}
	// Whoever had most had to make room with their oldest, and was told why.
	if got, _ := silent[0].final(t).(door.Refused); got.Code != door.CodeUnavailable || !strings.Contains(got.Message, "try again") {
		t.Errorf("%+v", got)
	}
}

// Honest callers of one user, many more at once than may be dealt with, wait for
// each other, unread, and are all served.
func TestACrowdOfOneUserWaits(t *testing.T) {
	const crowd, each = 60, 3
	var inside, most atomic.Int32
	q := newDoor(t, func(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
		defer inside.Add(-1)
		for now, before := inside.Add(1), most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		return launcher.Result{Exit: core.ExitStatus{Code: 3}}
	}, func(c *local.Config) {
		c.Silent, c.Callers = fair.Bounds{Each: crowd, All: 2 * crowd}, fair.Bounds{Each: each, All: 2 * each}
	})
	files := belongings(t)[:4]
	var all sync.WaitGroup
	for range crowd {
		c := q.connect(t, somebody("1000"), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files...)
		all.Go(func() {
			if exit := c.final(t); exit != (door.Exit{Code: 3}) {
				t.Errorf("%+v", exit)
			}
		})
	}
	all.Wait()
	if n := most.Load(); n > each {
		t.Errorf("%d of one user's requests were dealt with at once, expected %d at most", n, each)
	}
}

// Attack: a user's crowd waits for its turn, which does not come. It gives way to
// whoever has fewer callers, and is told.
func TestACrowdThatWaitsGivesWay(t *testing.T) {
	inside, leave := make(chan bool), make(chan bool)
	defer close(leave)
	q := newDoor(t, func(_ context.Context, k launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		if k.Peer.User == "1000" {
			select {
			case inside <- true:
				<-leave
			case <-leave:
			}
		}
		return launcher.Result{Exit: core.ExitStatus{Code: 3}}
	}, func(c *local.Config) {
		c.Silent, c.Callers = fair.Bounds{Each: 4, All: 4}, fair.Bounds{Each: 1, All: 4}
	})
	files := belongings(t)[:4]
	var crowd []*doorPipe
	for range 5 { // one of them has its turn, and the others wait
		c := q.connect(t, somebody("1000"), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files...)
		crowd = append(crowd, c)
		if len(crowd) == 1 {
			<-inside
		}
	}
	c := q.connect(t, somebody("1001"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), files...)
	if exit := c.final(t); exit != (door.Exit{Code: 3}) {
		t.Errorf("somebody else: %+v", exit)
	}
	if got, _ := crowd[1].final(t).(door.Refused); got.Code != door.CodeUnavailable || !strings.Contains(got.Message, "try again in a second") {
		t.Errorf("whoever waited longest: %+v", got)
	}
}

// Attack: connect and close, as fast as possible. Of whoever has gone already
// it is not known who they are.
func TestCallersWhoHaveGone(t *testing.T) {
	q := newDoor(t, ok, func(c *local.Config) { c.Silent = fair.Bounds{Each: 2, All: 6} })
	for range 200 {
		q.connect(t, core.Peer{}, errors.New("the process has ended")).Close()
	}
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if exit := c.final(t); exit != (door.Exit{Code: 3}) {
		t.Errorf("%+v", exit)
	}
}

func TestARunningCommandKeepsNoPlace(t *testing.T) {
	leave := make(chan bool)
	running := make(chan bool)
	q := newDoor(t, func(_ context.Context, _ launcher.Submission, c launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		if err := c.Started(); err != nil {
			t.Error(err)
		}
		running <- true
		<-leave
		return launcher.Result{}
	}, func(c *local.Config) { c.Callers = fair.Bounds{Each: 1, All: 1} })
	files := belongings(t)[:4]
	for range 3 {
		c := q.connect(t, somebody("1000"), nil)
		c.send(t, door.TypeRequest, plainRequest.Encode(), files...)
		<-running
	}
	close(leave)
}

func TestTheDoorSurvivesAcceptErrors(t *testing.T) {
	q := newDoor(t, ok)
	for range 3 {
		q.Errs <- errors.New("too many open files")
	}
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	if exit := c.final(t); exit != (door.Exit{Code: 3}) {
		t.Errorf("%+v", exit)
	}
}

func TestClosingTheDoor(t *testing.T) {
	inside := make(chan bool)
	q := newDoorQueue()
	server := newServer(t, q, func(ctx context.Context, k launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		defer closeFiles(k)
		inside <- true
		<-ctx.Done()
		return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeUnavailable, Message: context.Cause(ctx).Error()}}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	<-inside
	ctx, patience := context.WithCancel(context.Background())
	closed := make(chan struct{})
	go func() {
		server.Close(ctx)
		close(closed)
	}()
	<-q.Done // nobody else comes in
	select {
	case <-closed:
		t.Fatal("closed while a caller is inside")
	default:
	}
	patience()
	if got := c.final(t); got != (door.Refused{Code: door.CodeUnavailable, Message: "the service stops"}) {
		t.Errorf("%+v", got)
	}
	<-closed
	if err := server.Serve(newDoorQueue()); err == nil {
		t.Error("a closed server serves a listener")
	}
}

// A caller whose descriptors cannot even be closed does not keep the service
// from stopping.
func TestClosingTheDoorOnACallerWhoCannotGo(t *testing.T) {
	inside, hung := make(chan bool), make(chan struct{})
	q := newDoorQueue()
	server := newServer(t, q, func(_ context.Context, k launcher.Submission, _ launcher.Caller, _ <-chan signal.Sent) launcher.Result {
		defer closeFiles(k)
		inside <- true
		<-hung
		return launcher.Result{Refused: &refusal.Refusal{Code: door.CodeFailed}}
	})
	c := q.connect(t, somebody("1000"), nil)
	c.send(t, door.TypeRequest, plainRequest.Encode(), belongings(t)[:4]...)
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	closed := make(chan struct{})
	go func() {
		server.Close(ctx)
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("the service waits for a caller")
	}
	close(hung)
	c.final(t)
}

func BenchmarkRequest(b *testing.B) {
	q := newDoor(b, ok, func(c *local.Config) { c.Callers = fair.Bounds{Each: 1 << 20, All: 1 << 20} })
	files := belongings(b)[:4]
	frame := door.Append(nil, door.TypeRequest, plainRequest.Encode())
	for b.Loop() {
		end, err := q.Connect(somebody("1000"), nil)
		if err != nil {
			b.Fatal(err)
		}
		caller := &doorPipe{end}
		if err := caller.WriteWithFiles(frame, files...); err != nil {
			b.Fatal(err)
		}
		if exit := caller.final(b); exit != (door.Exit{Code: 3}) {
			b.Fatal(exit)
		}
		caller.Close()
	}
}

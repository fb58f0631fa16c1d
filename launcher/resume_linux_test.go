package launcher

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/launcher/journal"
)

func TestARealCommandOutlivesAnOrderlyStop(t *testing.T) {
	root := newRoot(t)
	m, err := newMachine(root)
	if err != nil {
		t.Fatal(err)
	}
	id, result := sleeper(t, m, context.Background())
	command := descendant(t, m, id)
	child := descendant(t, m, command)
	group := m.records(t, journal.Launched)[0].Child.Group
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := m.Close(ctx); err != nil {
		t.Fatal(err)
	}
	// Its output still goes to the caller's pipe: the reader waits for it.
	m.deeds.Wait()
	if err := errors.Join(m.journal.Close(), m.host.Close()); err != nil {
		t.Fatal(err)
	}

	next, err := newMachine(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []core.ProcessID{id, command, child} {
		if !next.host.Tree.Alive(p) {
			t.Fatalf("process %s did not outlive the service", p)
		}
		who, _ := next.registry.Identify(core.Peer{User: "0", Administrator: true, Processes: []core.ProcessID{p}, SameIdentity: true})
		if who.Kind != core.User {
			t.Errorf("to the next service process %s is %v", p, who.Kind)
		}
	}
	started, again := make(chan struct{}), make(chan Result, 1)
	go func() {
		r, _, err := next.run(call{command: "sh", key: door.Key{1}, running: true, started: func(*os.File) { close(started) }})
		if err != nil {
			t.Error(err)
		}
		again <- r
	}()
	<-started
	if err := unix.Kill(command.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if r := <-again; r.Refused != nil || r.Exit.Signal != int(unix.SIGTERM) {
		t.Errorf("the caller who came back heard %+v, %v", r, r.Refused)
	}
	if _, err := next.host.Tree.KillGroups(port.Group{Root: id, Name: group}); err != nil { // what the command left
		t.Error(err)
	}
	if r := <-result; !r.Later || r.Refused != nil {
		t.Errorf("the caller heard %+v", r)
	}
	if err := next.stop(context.Background()); err != nil {
		t.Error(err)
	}
}

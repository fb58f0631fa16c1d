package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/launcher"
	"kpm/launcher/seal"
)

// Elevator takes one knock from beginning to end. launcher.Launcher is one.
type Elevator interface {
	// Elevate asks for, and carries out, one elevation. It closes the knock's
	// files, does not return before the outcome is final, and takes the end of
	// ctx as the caller having gone.
	Elevate(ctx context.Context, k launcher.Knock, c launcher.Caller, signals <-chan signal.Signal) launcher.Result
}

// Why a caller's context ended.
var (
	errCallerGone = errors.New("the caller is gone")
	errStopping   = errors.New("the service stops")
)

// doorway serves the local door: it turns frames and descriptors into knocks,
// and results into final frames.
type doorway struct {
	elevator Elevator
	limits   Limits
	places   *fair.Slots[core.UserID]
	log      *slog.Logger

	mu        sync.Mutex
	listeners []port.DoorListener
	closed    bool
	done      chan struct{}
	loops     sync.WaitGroup
	callers   sync.WaitGroup
	stop      context.CancelCauseFunc
	ctx       context.Context // of all callers; ends when Close loses patience
}

func newDoorway(cfg Config) *doorway {
	d := &doorway{
		elevator: cfg.Elevator,
		limits:   cfg.Limits,
		places:   fair.NewSlots[core.UserID](fair.Bounds{Each: int64(cfg.Limits.CallersPerUser), All: int64(cfg.Limits.Callers)}),
		log:      cfg.Log,
		done:     make(chan struct{}),
	}
	d.ctx, d.stop = context.WithCancelCause(context.Background())
	return d
}

// ServeDoor adds a door. It does not block.
func (s *Server) ServeDoor(ln port.DoorListener) error {
	d := s.door
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("api: door: %w", net.ErrClosed)
	}
	d.listeners = append(d.listeners, ln)
	d.loops.Go(func() { d.accept(ln) })
	return nil
}

func (d *doorway) close(ctx context.Context) {
	d.mu.Lock()
	first := !d.closed
	d.closed = true
	listeners := d.listeners
	d.mu.Unlock()
	if first {
		close(d.done)
	}
	for _, ln := range listeners {
		ln.Close()
	}
	d.loops.Wait() // from here on no caller is added
	defer d.stop(errStopping)
	gone := make(chan struct{})
	go func() {
		d.callers.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return
	case <-ctx.Done():
		d.stop(errStopping)
	}
	// Attack: a caller's descriptor cannot even be closed, since their file
	// system does not answer. The service stops without them.
	select {
	case <-gone:
	case <-time.After(lastWait):
		d.log.Warn("door: some callers' descriptors cannot be closed")
	}
}

// lastWait is how long callers may take to go when their time is over.
const lastWait = 2 * time.Second

// accept survives what a listener may report: only its end ends it.
func (d *doorway) accept(ln port.DoorListener) {
	for attempt := 0; ; attempt++ {
		conn, err := ln.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || !pause(d.done, attempt) {
				return
			}
			d.log.Warn("door: accept", "error", err)
			continue
		}
		attempt = -1
		d.admit(conn)
	}
}

// admit gives a caller a place, or refuses it: one user's callers cannot keep
// another's out. Whatever may take as long as a caller likes, which closing a
// descriptor of theirs does, happens on a goroutine that holds the caller's
// place, never on the accept loop. Closing the connection does not take long.
func (d *doorway) admit(conn port.DoorConn) {
	c := newDoorConn(conn, d.limits.Write)
	place, err := d.places.Enter()
	if err != nil {
		c.refuse(door.CodeUnavailable, "too many people are at the door: try again")
		return
	}
	d.callers.Go(func() {
		defer place.Release()
		peer, err := conn.Peer()
		switch {
		case errors.Is(err, core.ErrForeign):
			c.refuse(door.CodeBadRequest, "the caller lives in another namespace (a container?): ask on the machine itself")
		case err != nil:
			// Whoever connects and is gone gets here: at a higher level they
			// would fill the log.
			d.log.Debug("door: peer", "error", err)
			c.refuse(door.CodeFailed, "the service could not find out who is calling")
		case place.Claim(peer.User) != nil:
			c.refuse(door.CodeUnavailable, "this user has too many requests open: try again when one has ended")
		default:
			d.attend(c, peer)
		}
	})
}

// attend serves one caller to the final frame.
func (d *doorway) attend(c *doorConn, peer core.Peer) {
	defer c.close()
	knock, err := c.readKnock(d.limits.Request)
	if err != nil {
		if text, ok := knockFault(err); ok {
			c.refuse(door.CodeBadRequest, text)
		}
		return
	}
	knock.Peer = peer

	ctx, gone := context.WithCancelCause(d.ctx)
	defer gone(nil)
	c.ctx, c.gone = ctx, gone
	signals := make(chan signal.Signal, 32)
	var reader sync.WaitGroup
	reader.Go(func() { gone(c.listen(signals)) })

	result := d.elevator.Elevate(ctx, knock, c, signals)
	if err := c.finish(result); err != nil {
		d.log.Debug("door: final frame", "error", err)
	}
	c.close() // ends the reader
	reader.Wait()
}

// knockFault words a malformed first frame for the person who sent it; false
// if the caller just went away.
func knockFault(err error) (string, bool) {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the request did not arrive in time", true
	case errors.Is(err, errKnock):
		return err.Error(), true
	case errors.Is(err, door.ErrFrame):
		return "the request cannot be understood: are keepersudo and the service of the same version?", true
	}
	return "", false
}

// errKnock is wrapped by what is wrong with an otherwise well-formed request.
var errKnock = errors.New("bad request")

// newKnock makes a knock of a request and its descriptors, in the order that
// docs/wire.md gives.
func newKnock(m door.Request, files []*os.File) (launcher.Knock, error) {
	want := 4
	if m.HasExecutable {
		want = 5
	}
	if len(files) != want {
		return launcher.Knock{}, fmt.Errorf("%w: found %d descriptors, expected %d", errKnock, len(files), want)
	}
	if m.Command == "" || len(m.Argv) == 0 {
		return launcher.Knock{}, fmt.Errorf("%w: no command", errKnock)
	}
	for _, list := range [][]string{{m.Command, m.TargetUser}, m.Argv} {
		for _, text := range list {
			// An argument that is not text cannot be decided on faithfully, and
			// one with a NUL would be cut short by the kernel (decision 24a).
			if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
				return launcher.Knock{}, fmt.Errorf("%w: %q is not UTF-8 text without NUL", errKnock, text)
			}
		}
	}
	k := launcher.Knock{
		Request: seal.Request{Command: m.Command, TargetUser: m.TargetUser, Argv: m.Argv, Dir: files[0]}, Env: m.Env,
		NonInteractive: m.NonInteractive, Rows: m.Rows, Columns: m.Columns,
		Streams: port.Streams{Input: files[1], Output: files[2], Error: files[3]},
	}
	if m.HasExecutable {
		k.Executable = files[4]
	}
	return k, nil
}

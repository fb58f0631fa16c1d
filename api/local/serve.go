package local

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/reserve"
	"kpm/core/signal"
	"kpm/core/wire"
)

// maxRefused bounds the callers of one person who are being told that there
// is no room for them. Beyond, connections are closed without a word.
const maxRefused = 16

// Whoever is at the door more often than this, in a second and at once, is not
// looked at.
const (
	maxConnects      = 1000
	maxConnectsBurst = 1000
)

// screen says what a caller is told who is not even let in.
func (s *Server) screen(user core.UserID) []byte {
	who := s.cfg.People.Of(user)
	refusal := s.tooOften
	switch {
	case s.silent.Full(who): // one crowd of theirs waits, and another one comes
		refusal = s.tooMany
	case s.cfg.People.First(who) || s.connects.Take(who, 1) == 0:
		return nil
	}
	s.mention(who, user, refusal.text)
	return refusal.frame
}

// composed is a refusal, ready to be sent: composing one takes longer than
// making the connection.
type composed struct {
	text  string
	frame []byte
}

func compose(text string) composed {
	return composed{text, door.Append(nil, door.TypeRefused, door.Refused{Code: door.CodeUnavailable, Message: wire.Printable(text)}.Encode())}
}

// What is counted, for whoever is told that it is too much.
const (
	silentCallers   = "callers who wait for their turn or have not made a request"
	waitingRequests = "requests that wait or are being decided on"
)

// admit counts a caller. In whose name somebody calls is known before
// anything is done for them; those of whom that cannot be said, because they
// have gone, count as one person.
func (s *Server) admit(conn port.DoorConn) {
	c := newCaller(s.ctx, conn, s.cfg.Write)
	user, err := conn.User()
	if err != nil {
		user = ""
	}
	who := s.cfg.People.Of(user)
	hold, err := s.silent.Take(who, c.giveUp)
	if err != nil {
		s.refuse(c, who, user, s.words(err, s.cfg.Silent, silentCallers))
		return
	}
	s.callers.Go(func() {
		defer hold.Release()
		reserve.Stack()
		s.receive(c, who, user, hold)
	})
}

// refuse refuses a caller beside the loop that accepts: what they have sent
// can make it slow to let go of them.
func (s *Server) refuse(c *caller, who, user core.UserID, text string) {
	s.mention(who, user, text)
	slot, err := s.refused.TryTake(who, 1)
	if err != nil {
		c.close()
		return
	}
	s.callers.Go(func() {
		defer slot.Release()
		c.refuse(door.CodeUnavailable, text)
	})
}

func (s *Server) mention(who, user core.UserID, text string) {
	if worth, silent := s.mentions.Worth(who, text); worth {
		s.cfg.Log.Warn("door: a caller is refused", "user", string(user), "reason", text, "unlogged", silent)
	}
}

// words say what is used up, and for how long.
func (s *Server) words(err error, b fair.Bounds, of string) string {
	if errors.Is(err, fair.ErrPersonFull) {
		return fmt.Sprintf("this user has %d %s, the most that one may have: try again when one of them is done, in a few seconds", b.Each, of)
	}
	return fmt.Sprintf("this machine has %d %s, the most that all users together may have: try again in a few seconds", b.All-b.Aside, of)
}

// turn waits until the request of one more of a person's callers may be read.
// Until then it lies with the kernel, and the caller may be given up for somebody
// else's sake: a crowd of honest callers costs no more memory than one of silent
// ones, and is served in the order in which it came.
func (s *Server) turn(c *caller, who core.UserID) (*fair.Slot[core.UserID], error) {
	ctx, cancel := context.WithTimeout(c.waiting, s.cfg.Turn)
	defer cancel()
	return s.turns.Take(ctx, who, 1)
}

// unserved tells a caller whose turn did not come.
func (s *Server) unserved(c *caller, who, user core.UserID) {
	switch cause := context.Cause(c.waiting); {
	case errors.Is(cause, errGivenUp):
		code, text, _ := requestFault(cause)
		c.refuse(code, text)
	case cause != nil: // the service stops
		c.close()
	default:
		text := s.words(fair.ErrPersonFull, s.cfg.Callers, waitingRequests)
		s.mention(who, user, text)
		c.refuse(door.CodeUnavailable, text)
	}
}

// receive waits for the caller's turn, finds out who calls, takes their request,
// and has it carried out.
func (s *Server) receive(c *caller, who, user core.UserID, hold *fair.Hold[core.UserID]) {
	turn, err := s.turn(c, who)
	if err != nil {
		s.unserved(c, who, user)
		return
	}
	defer turn.Release()
	done, err := s.identifying.Take(c.waiting, who)
	if err != nil {
		s.unserved(c, who, user)
		return
	}
	peer, err := c.conn.Peer()
	done()
	switch {
	case errors.Is(err, core.ErrForeign):
		c.refuse(door.CodeBadRequest, "the request comes from another namespace, such as a container: make it on the machine itself")
		return
	case core.OutOfResources(err):
		s.mention(who, user, core.ResourceFault(err))
		c.refuse(door.CodeUnavailable, core.ResourceFault(err))
		return
	case err != nil:
		// Whoever connects and is gone gets here: at a higher level they
		// would fill the log.
		s.cfg.Log.Debug("door: peer", "error", err)
		c.refuse(door.CodeFailed, "the service could not find out who is calling")
		return
	}
	s.serve(c, who, peer, hold, turn)
}

func (s *Server) serve(c *caller, who core.UserID, peer core.Peer, hold *fair.Hold[core.UserID], turn *fair.Slot[core.UserID]) {
	defer c.close()
	request, err := c.readRequest(s.cfg.Request)
	if err != nil {
		if code, text, ok := requestFault(err); ok {
			if core.OutOfResources(err) {
				s.mention(who, peer.User, text)
			}
			c.refuse(code, text)
		} else {
			s.cfg.Log.Debug("door: request", "error", err) // as with the peer
		}
		return
	}
	request.Peer = peer
	slot, err := s.open.TryTake(who, 1)
	if err != nil {
		request.Close()
		text := s.words(err, s.cfg.Callers, waitingRequests)
		s.mention(who, peer.User, text)
		c.refuse(door.CodeUnavailable, text)
		return
	}
	defer slot.Release()
	c.running = func() {
		slot.Release()
		turn.Release()
	}
	hold.Release()

	ctx, gone := context.WithCancelCause(s.ctx)
	defer gone(nil)
	c.ctx, c.gone = ctx, gone
	signals := make(chan signal.Sent, 32)
	var reader sync.WaitGroup
	reader.Go(func() { gone(c.listen(signals)) })

	result := s.cfg.Elevator.Elevate(ctx, request, c, signals)
	if err := c.finish(result); err != nil {
		s.cfg.Log.Debug("door: final frame", "error", err)
	}
	c.close() // ends the reader
	reader.Wait()
}

package local

import (
	"context"
	"errors"
	"sync"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/signal"
)

// admit gives a caller a slot, or refuses it: one user's callers cannot keep
// another's out. Whatever may take as long as a caller likes, which closing a
// descriptor of theirs does, happens on a goroutine that holds the caller's
// slot, never on the accept loop. Closing the connection does not take long.
func (s *Server) admit(conn port.DoorConn) {
	c := newCaller(conn, s.cfg.Write)
	slot, err := s.cfg.Slots.Enter()
	if err != nil {
		c.refuse(door.CodeUnavailable, "too many requests are open on this machine: try again when some have ended")
		return
	}
	s.callers.Go(func() {
		defer slot.Release()
		peer, err := conn.Peer()
		switch {
		case errors.Is(err, core.ErrForeign):
			c.refuse(door.CodeBadRequest, "the request comes from another namespace, such as a container: make it on the machine itself")
		case err != nil:
			// Whoever connects and is gone gets here: at a higher level they
			// would fill the log.
			s.cfg.Log.Debug("door: peer", "error", err)
			c.refuse(door.CodeFailed, "the service could not find out who is calling")
		case slot.Claim(peer.Payer()) != nil:
			c.refuse(door.CodeUnavailable, "this user has too many requests open: try again when one has ended")
		default:
			s.serve(c, peer)
		}
	})
}

// serve serves one caller to the final frame.
func (s *Server) serve(c *caller, peer core.Peer) {
	defer c.close()
	request, err := c.readRequest(s.cfg.Request)
	if err != nil {
		if text, ok := requestFault(err); ok {
			c.refuse(door.CodeBadRequest, text)
		}
		return
	}
	request.Peer = peer

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

package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"

	"kpm/core"
)

// Identifier says which principal a peer is. launcher.Registry is one.
type Identifier interface {
	// Identify returns the principal and the root process of its launch
	// group, zero if it is in none. It returns Public for a peer whose holders
	// are not all alive, of one identity and of one launch group; a peer
	// inside the launch group of an elevation is never Admin (decisions 10
	// and 11).
	Identify(peer core.Peer) (core.Principal, core.ProcessID)
}

// caller is who makes one request.
type caller struct {
	core.Principal
	// bound is true on a connection of Dial: the caller has the rights of its
	// run's Http task, not a tier.
	bound bool
	// own is true when this very process is at the other end.
	own bool
}

// identify establishes the caller anew for every request. The peer is from
// accept time; what its processes are, and that they still live, is looked up
// now, so that a plugin that has ended leaves no authority behind in a
// connection that something else still holds.
func (s *Server) identify(c *conn) caller {
	switch {
	case c.entry.bound:
		return caller{Principal: c.principal, bound: true}
	case slices.Contains(c.peer.Processes, s.cfg.Self):
		return caller{own: true}
	}
	who, _ := s.cfg.Identify.Identify(c.peer)
	return caller{Principal: who}
}

type connKey struct{}

// withConn is an http.Server's ConnContext: it lets handlers find the conn.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	return context.WithValue(ctx, connKey{}, c)
}

func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }

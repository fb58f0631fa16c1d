package api

import (
	"context"
	"net"
	"net/http"
	"slices"

	"kpm/core"
)

// Peers names the other end of a connection (port.Peers).
type Peers interface {
	User(conn net.Conn) (core.UserID, error)
	Peer(conn net.Conn) (core.Peer, error)
}

// Identifier says which principal a peer is. start.Registry is one.
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
	// bound is true of what RoundTripper answers: the caller has the rights of its
	// run's Http task, not a tier.
	bound bool
	// own is true when this very process is at the other end.
	own bool
	// tier is what the caller reaches: its principal's, except of an
	// administrator who lacks something.
	tier core.Tier
	// lacks is what keeps an administrator from being Admin.
	lacks *Problem
}

// Tier returns the tier that the caller reaches.
func (c caller) Tier() core.Tier { return c.tier }

// below is the refusal of a caller whose tier does not reach: what an
// administrator lacks, if that is why.
func (c caller) below(required core.Tier) *Problem {
	if c.lacks == nil {
		return tierTooLow(required, c.tier)
	}
	p := *c.lacks
	p.RequiredTier, p.CallerTier = required.String(), c.tier.String()
	return &p
}

// identify establishes the caller anew for every request. The peer is from
// accept time; what its processes are, and that they still live, is looked up
// now, so that a plugin that has ended leaves no authority behind in a
// connection that something else still holds.
func (s *Server) identify(r *http.Request) caller {
	c := connOf(r)
	switch {
	case c.entry.bound:
		return caller{Principal: c.principal, bound: true, tier: c.principal.Tier()}
	case slices.Contains(c.peer.Processes, s.cfg.Self):
		return caller{own: true}
	}
	who, _ := s.cfg.Identify.Identify(c.peer)
	if who.Kind != core.Admin {
		return caller{Principal: who, tier: who.Tier()}
	}
	tier, lacks := s.cfg.Administrators.admit(r.Context(), c, rawConnOf(r).state())
	if lacks != nil {
		who.Kind = core.User
	}
	return caller{Principal: who, tier: tier, lacks: lacks}
}

type connKey struct{}

// withConn is an http.Server's ConnContext: it lets handlers find the conn.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func rawConnOf(r *http.Request) *rawConn { return r.Context().Value(connKey{}).(*rawConn) }

func connOf(r *http.Request) *conn { return rawConnOf(r).from }

package api

import (
	"context"
	"crypto/tls"
	"time"

	"kpm/core"
	"kpm/core/wire"
	"kpm/trust"
)

// SignedPrograms tells which processes run a program that a trusted signer has
// signed.
type SignedPrograms interface {
	// Trusted reports whether process does, now, and if not, why: a sentence
	// for an administrator.
	Trusted(ctx context.Context, process core.ProcessID) (ok bool, reason string)
}

// Administrators says what an administrator must show beyond what the kernel
// says of it (decision 10). The zero value asks for nothing.
type Administrators struct {
	// Clients, if not nil, is who issues the client certificates without which
	// nobody is Admin. They can be shown on HTTPS only.
	Clients *trust.ClientAuthority
	// Signed makes signed programs a condition.
	Signed bool
	// Programs is asked about programs; nil trusts none.
	Programs SignedPrograms
}

// judgeTime bounds how long one program is judged. It is an administrator's:
// nobody else can make the service look.
const judgeTime = 5 * time.Second

// asks reports whether being root is not enough.
func (a Administrators) asks() bool { return a.Clients != nil || a.Signed }

// signed reports whether every process of a peer runs a signed program, and if
// not, why.
func (a Administrators) signed(ctx context.Context, peer core.Peer) (ok bool, reason string) {
	if a.Programs == nil || len(peer.Processes) == 0 {
		return false, "this machine verifies no signatures"
	}
	ctx, cancel := context.WithTimeout(ctx, judgeTime)
	defer cancel()
	for _, process := range peer.Processes {
		if ok, reason := a.Programs.Trusted(ctx, process); !ok {
			return false, reason
		}
	}
	return true, ""
}

// admit returns the tier of a peer that the kernel and the registry call an
// administrator, and what it lacks for Admin, if anything (docs/wire.md,
// "Administrators"). state is nil without TLS.
func (a Administrators) admit(ctx context.Context, c *conn, state *tls.ConnectionState) (core.Tier, *Problem) {
	var lacks *Problem
	if a.Clients != nil {
		if err := a.Clients.Verify(state); err != nil {
			lacks = problem(codeClientCertificate,
				"administrators need a client certificate of the configured authority, shown over HTTPS; on this connection: %s", wire.PrintableLine(err.Error()))
		}
	}
	if lacks == nil && !a.Signed {
		return core.TierAdmin, nil
	}
	// Attack: an unsigned program connects, writes its request and becomes a
	// signed one that inherits the connection. So the program counts that was
	// there at accept time, too; over TLS that one has yet to make a handshake.
	signed, reason := c.signed, c.unsigned
	if signed {
		signed, reason = a.signed(ctx, c.peer)
	}
	switch {
	case signed && lacks == nil:
		return core.TierAdmin, nil
	case signed:
		return core.TierPlugin, lacks
	case lacks == nil:
		lacks = problem(codeSignedProgram,
			"administrators need a program that a trusted signer has signed; of this one: %s", wire.Printable(reason))
	}
	return core.TierUser, lacks
}

// atAccept judges, for admit, the programs of a peer that has just connected.
// Nobody but administrators is judged, and they only where it matters.
func (s *Server) atAccept(ctx context.Context, peer core.Peer, e *entry) (signed bool, reason string) {
	if !s.cfg.Administrators.asks() || e.scheme == "http" {
		return false, ""
	}
	if who, _ := s.cfg.Identify.Identify(peer); who.Kind != core.Admin {
		return false, ""
	}
	return s.cfg.Administrators.signed(ctx, peer)
}

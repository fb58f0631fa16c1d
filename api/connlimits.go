package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kpm/core"
	"kpm/core/fair"
)

// maxRefused bounds the connections of one person that are being told that
// there is no room. Beyond, they are closed without a word.
const maxRefused = 16

// connLimits bounds the connections of all listeners, before anybody looks at
// who they are. Root, as which plugins run, comes first.
type connLimits struct {
	people  fair.People
	limits  Limits
	held    *fair.Revocable[core.UserID]
	refused *fair.Slots[core.UserID]
	// rate bounds how often one person connects: each time somebody has to be
	// looked at, and TLS computed.
	rate     *fair.Rate[core.UserID]
	mentions *fair.Mentions
	refusals map[error][]byte
	log      *slog.Logger
}

func newConnLimits(cfg Config) *connLimits {
	l := cfg.Limits
	t := &connLimits{
		people: cfg.People, limits: l, log: cfg.Log, mentions: fair.NewMentions(),
		held: fair.NewRevocable[core.UserID](fair.Bounds{
			Each: int64(l.ConnectionsPerUser), All: int64(l.Connections), Aside: int64(l.Connections / asidePart)}, cfg.People.First),
		refused: fair.NewSlots[core.UserID](fair.Bounds{Each: maxRefused, All: int64(l.Connections)}),
		rate:    fair.NewRate[core.UserID](connectsFor*l.RequestsPerSecond, connectsFor*int(l.Burst)),
	}
	t.refusals = t.composed()
	return t
}

// connectsFor is how many connections one may make for each request that one
// may make: whoever uses each for one request is told about the requests.
const connectsFor = 2

// asidePart is the part of all connections that is set aside.
const asidePart = 8

// errTooOften is about somebody who connects again and again.
var errTooOften = errors.New("too many connections at once after each other")

// screener is a listener that asks in whose name each connection is made before
// anything is done for it (port.DoorListener).
type screener interface {
	Screen(refusal func(core.UserID) []byte)
}

// screen says what somebody is told who is not even let in.
func (t *connLimits) screen(user core.UserID) []byte {
	who := t.people.Of(user)
	if t.people.First(who) {
		return nil
	}
	var reason error
	switch {
	case t.held.Full(who):
		reason = fair.ErrPersonFull
	case t.rate.Take(who, 1) > 0:
		reason = errTooOften
	default:
		return nil
	}
	t.mention(user, reason)
	return t.refusals[reason]
}

// enter counts c for user, or says why that is too much.
func (t *connLimits) enter(user core.UserID, c *conn, screened bool) (err error) {
	who := t.people.Of(user)
	if !screened && !t.people.First(who) && t.rate.Take(who, 1) > 0 {
		return errTooOften
	}
	c.hold, err = t.held.Take(who, c.giveUp)
	return err
}

// refuse closes a connection for which there is no room, and says so where
// that needs no TLS. It does not wait: whoever is refused may take their
// time.
func (t *connLimits) refuse(user core.UserID, c *conn, reason error, beside *sync.WaitGroup) {
	who := t.people.Of(user)
	t.mention(user, reason)
	if c.entry.scheme == "https" {
		c.Conn.Close()
		return
	}
	slot, err := t.refused.TryTake(who, 1)
	if err != nil {
		c.Conn.Close()
		return
	}
	beside.Go(func() {
		defer slot.Release()
		defer c.Conn.Close()
		c.Conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Conn.Write(unasked(t.words(reason)))
	})
}

// mention logs a refusal, unless that was said already.
func (t *connLimits) mention(user core.UserID, reason error) {
	if worth, silent := t.mentions.Worth(t.people.Of(user), reason.Error()); worth {
		t.log.Warn("a connection is refused", "user", string(user), "reason", t.words(reason), "unlogged", silent)
	}
}

// unasked is what a refused connection is told, without a question.
func unasked(text string) []byte {
	p := problem(codeTooMany, "%s", text)
	body, err := json.Marshal(p)
	if err != nil {
		return []byte{}
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\nCache-Control: no-store\r\n\r\n%s",
		p.Status, p.Title, len(body), body)
}

// composed are the refusals that screen sends, ready to be sent: composing one
// takes longer than making the connection.
func (t *connLimits) composed() map[error][]byte {
	return map[error][]byte{
		errTooOften:        unasked(t.words(errTooOften)),
		fair.ErrPersonFull: unasked(t.words(fair.ErrPersonFull)),
	}
}

// words say what is used up, and for how long.
func (t *connLimits) words(reason error) string {
	switch {
	case errors.Is(reason, errTooOften):
		return fmt.Sprintf("this user connects more than %g times a second: try again in a second", connectsFor*t.limits.RequestsPerSecond)
	case errors.Is(reason, fair.ErrPersonFull):
		return fmt.Sprintf("this user has %d connections, the most that one may have: try again when one is closed", t.limits.ConnectionsPerUser)
	}
	return fmt.Sprintf("this machine has %d connections, the most that all users together may have, and nobody has more than this one: try again in a second", t.limits.Connections-t.limits.Connections/asidePart)
}

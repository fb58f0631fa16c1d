package service

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"kpm/api"
	"kpm/core"
	"kpm/core/port"
	"kpm/core/span"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/jobs/task"
	"kpm/launcher/approval"
	"kpm/launcher/grant"
)

// Bounds of notices: who listens, for one person and in all, and what waits for each.
// Beyond, a notice is lost: whoever needs it asks.
const (
	maxListeners    = 256
	maxOwnListeners = 4
	maxWaiting      = 64
)

// errTooManyListen is told to whoever would be one too many.
var errTooManyListen = core.NewError(core.TooMany, "too many programs listen to notices already")

// notices hand on what people are to hear to those who listen, each their own.
type notices struct {
	mu        sync.Mutex
	listeners map[*hearer]bool
	shown     []wire.Notice // that the bus has not been told of
	some      chan struct{}
}

type hearer struct {
	user core.UserID
	said chan view.Notice
}

func newNotices() *notices {
	return &notices{listeners: map[*hearer]bool{}, some: make(chan struct{}, 1)}
}

var _ api.Notices = (*notices)(nil)

// Listen implements api.Notices.
func (n *notices) Listen(user core.UserID) (<-chan view.Notice, func(), error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	own := 0
	for l := range n.listeners {
		if l.user == user {
			own++
		}
	}
	if own >= maxOwnListeners || len(n.listeners) >= maxListeners {
		return nil, nil, errTooManyListen
	}
	l := &hearer{user, make(chan view.Notice, maxWaiting)}
	n.listeners[l] = true
	return l.said, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.listeners, l)
	}, nil
}

// say hands a notice on, and keeps nobody waiting.
func (n *notices) say(user core.UserID, one view.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.listeners {
		if l.user != user {
			continue
		}
		select {
		case l.said <- one:
		default:
		}
	}
}

// approvalNotice is what the requester of r hears of it; false for what they know, or
// what is no news.
func approvalNotice(r *approval.Record, left time.Duration) (view.Notice, bool) {
	one := view.Notice{ID: r.ID, SecondsLeft: int64(left / time.Second)}
	by := ""
	if n := len(r.Decisions); n > 0 {
		if by = " by " + r.Decisions[n-1].Name; r.Decisions[n-1].Comment != "" {
			by += ": " + r.Decisions[n-1].Comment
		}
	}
	switch {
	case r.State == approval.Approved && r.Decisions[len(r.Decisions)-1].Cause == approval.Approve:
		one.Kind, one.Text = view.NoticeApproved, fmt.Sprintf("approval %s of %s is given%s; it may be run within %s: keeperAgent --run %s", r.ID, r.Want.Path, by, span.Text(left), r.ID)
	case r.State == approval.Denied:
		one.Kind, one.Text = view.NoticeDenied, fmt.Sprintf("approval %s of %s is refused%s", r.ID, r.Want.Path, by)
	case r.State == approval.Expired:
		one.Kind, one.Text = view.NoticeExpired, fmt.Sprintf("approval %s of %s has expired", r.ID, r.Want.Path)
	default:
		return one, false
	}
	one.Text = wire.Printable(one.Text)
	return one, true
}

// approvalEnds tells a requester that their approval is about to expire.
func (s *service) approvalEnds(r approval.Record, left time.Duration) {
	what := "waits for approvers no longer"
	if r.State == approval.Approved {
		what = "may be run no longer"
	}
	s.notify(r.Want.User, r.Want.Name, string(r.Want.Session), view.Notice{
		Kind: view.NoticeApprovalEnding, ID: r.ID, SecondsLeft: int64(left / time.Second),
		Text: wire.Printable(fmt.Sprintf("approval %s of %s %s in %s", r.ID, r.Want.Path, what, span.Text(left))),
	})
}

// grantEnds tells whose grant ends soon.
func (s *service) grantEnds(g grant.Grant, left time.Duration) {
	what := cmp.Or(g.Command, "what policy "+cmp.Or(g.Policy.Name, g.Policy.ID)+" is about")
	s.notify(g.User, g.UserName, "", view.Notice{
		Kind: view.NoticeGrantEnding, ID: g.ID, SecondsLeft: int64(left / time.Second),
		Text: wire.Printable(fmt.Sprintf("%s is asked about again in %s; keepersudo --for prolongs that, if policy allows", what, span.Text(left))),
	})
}

// notify hands a notice on to who listens, and has it shown in the person's sessions. It
// keeps nobody waiting.
func (s *service) notify(user core.UserID, name, session string, one view.Notice) {
	s.notices.say(user, one)
	s.notices.show(wire.Notice{Kind: "toast", Title: titles[one.Kind], Message: one.Text, UserName: name, UserID: user, SessionID: session})
}

// titles are what notices are called where they are shown.
var titles = map[string]string{
	view.NoticeDenied: "Refused", view.NoticeExpired: "Expired", view.NoticeApprovalEnding: "Expires soon",
	view.NoticeGrantEnding: "Ends soon", view.NoticeExecution: "Not started", view.NoticeElevation: "Run with Keeper instead",
}

// show has the bus told of a notice. Beyond maxNews the oldest is lost.
func (n *notices) show(one wire.Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.shown = append(n.shown, one); len(n.shown) > maxNews {
		n.shown = n.shown[1:]
	}
	select {
	case n.some <- struct{}{}:
	default:
	}
}

func (n *notices) take() []wire.Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.shown
	n.shown = nil
	return list
}

// showNotices publishes what is to be shown to people, for the plugin that shows it.
func (s *service) showNotices(ctx context.Context) {
	for {
		select {
		case <-s.notices.some:
		case <-ctx.Done():
			return
		}
		for _, one := range s.notices.take() {
			if err := s.publish(ctx, wire.TopicClient, wire.TypeNotice, one, ""); err != nil && ctx.Err() == nil {
				s.log.Debug("a notice was not published", "user", one.UserName, "error", err)
			}
		}
	}
}

// jobBus is what jobs say things on.
type jobBus struct {
	task.Bus
	accounts port.Accounts
}

// Publish implements task.Bus. A notice names whom it is for by name; the bus keeps it
// from others by what they are called to the kernel. One for somebody who is not known
// is shown to nobody.
func (b jobBus) Publish(ctx context.Context, topic string, m wire.RequestMessage) error {
	var n wire.Notice
	if topic != wire.TopicClient || m.Type != wire.TypeNotice || m.Read(wire.TypeNotice, &n) != nil || n.UserName == "" {
		return b.Bus.Publish(ctx, topic, m)
	}
	account, err := b.accounts.ByName(n.UserName)
	if err != nil {
		return fmt.Errorf("a notice for %s: %w", wire.Escaped(n.UserName), err)
	}
	n.UserID = account.User
	if m.Payload, err = json.Marshal(n); err != nil {
		return err
	}
	return b.Bus.Publish(ctx, topic, m)
}

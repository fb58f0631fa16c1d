package launcher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/fair"
	"kpm/launcher/refusal"
)

// Bounds of what is before the policy plugin at once, of all users and of one,
// in bytes. Attack: a user asks about thirty command lines of the greatest
// length at once. Together they are more than the bus keeps for one subscriber
// (docs/wire.md, "Limits of the bus"), which then cuts the plugin off, and
// everybody's questions are lost with it.
const (
	maxAsked     = 6 << 20
	maxUserAsked = 1 << 20
)

// maxUserWorked is how many requests of one user are worked on at once, from
// the program's first byte to the decision and from there to the launch; more
// of them wait. Attack: fifty callers of one user ask again and again, and each
// step of somebody else's request waits for a step of every one of theirs. While
// nobody else asks for anything maxAloneWorked are: each process on the way then has
// several requests to do when it comes to a processor. Whoever asks after a while
// waits for these once.
const (
	maxUserWorked  = 2
	maxAloneWorked = 8
)

// maxUserClosed is how many requests of one user have their descriptors closed
// at once. Attack: descriptors that block when they are closed (FUSE,
// SO_LINGER). Each keeps a thread of the service for as long as the user likes.
const maxUserClosed = 8

// asidePart is the part of all open requests that is set aside for whoever
// comes first (decision 32c).
const asidePart = 8

// share is what one request has of what is bounded.
type share struct {
	running *fair.Slot[core.UserID] // to its end
	open    *fair.Slot[core.UserID] // until the command runs
	work    *fair.Slot[core.UserID] // while the service has something to do for it
	leave   func()                  // counts it off the crowd; nil if it is not counted
}

// decided gives back what a request needs no longer while a person is asked.
func (s *share) decided() { s.work.Release() }

// runs gives back what a running command does not need.
func (s *share) runs() {
	s.work.Release()
	s.open.Release()
	if s.leave != nil {
		s.leave()
	}
}

// hand gives the slot of an ended command to whoever looks after what it has
// left.
func (s *share) hand() *fair.Slot[core.UserID] {
	slot := s.running
	s.running = nil
	return slot
}

func (s *share) release() {
	s.runs()
	s.running.Release()
}

// newBounds makes the slots of cfg's limits.
func newBounds(cfg Config) (running, work *fair.Slots[core.UserID]) {
	all := int64(cfg.Limits.MaxRunning)
	running = fair.NewSlotsFor[core.UserID](fair.Bounds{
		Each: int64(cfg.Limits.MaxRunningPerUser), All: all, Aside: all / asidePart}, cfg.People.First)
	most := int64(cfg.Limits.MaxOpen)
	work = fair.NewSlotsFor[core.UserID](fair.Bounds{Each: maxUserWorked, Alone: maxAloneWorked, All: most, Aside: most / asidePart}, cfg.People.First)
	return running, work
}

// shut lets go of what the caller of e handed over. It may take as long as they
// like, and counts as long.
func (l *Launcher) shut(submitted *Submission) {
	if submitted == nil { // the files are with its caller alone
		return
	}
	turn, err := l.closing.Take(context.Background(), l.cfg.People.Of(submitted.Peer.Payer()), 1)
	if err == nil {
		defer turn.Release()
	}
	submitted.Close()
}

// patience is how long a request waits for others to make room.
func (l *Launcher) patience() time.Duration { return l.cfg.Limits.Evaluate + l.cfg.Limits.Launch }

// admit takes user's share for one more request. Those that run already are no
// obstacle to it; for those that are open or worked on it waits. Whoever cannot
// have it is told what is used up and how long that takes.
func (l *Launcher) admit(ctx context.Context, user core.UserID) (*share, error) {
	who := l.cfg.People.Of(user)
	running, err := l.running.TryTake(who, 1)
	if err != nil {
		return nil, l.refuse(user, err,
			fmt.Sprintf("%d commands of yours run, the most that one user may have (Requests:MaxRunningPerUser): try again when one has ended", l.cfg.Limits.MaxRunningPerUser),
			fmt.Sprintf("%d commands run on this machine, the most that may (Requests:MaxRunning): try again when one has ended", l.cfg.Limits.MaxRunning))
	}
	s := &share{running: running, leave: l.crowd.enter()}
	ctx, cancel := context.WithTimeout(ctx, l.patience())
	defer cancel()
	if s.open, err = l.store.Reserve(ctx, who); err == nil {
		s.work, err = l.work.Take(ctx, who, 1)
	}
	if err == nil {
		return s, nil
	}
	s.release()
	return nil, l.refuse(user, err,
		fmt.Sprintf("%d requests of yours wait to be decided on or launched, the most that one user may have (Requests:MaxOpenPerUser), and none was done within %s: try again when one is",
			l.cfg.Limits.MaxOpenPerUser, l.patience()),
		fmt.Sprintf("the requests that are open on this machine (%d may be, Requests:MaxOpen) were not done within %s: try again in a moment", l.cfg.Limits.MaxOpen, l.patience()))
}

// refuse says that a bound was met: one person's, or everybody's. It is logged
// once for a cause.
func (l *Launcher) refuse(user core.UserID, err error, person, all string) error {
	text := all
	if errors.Is(err, fair.ErrPersonFull) {
		text = person
	}
	l.mention(user, text)
	return refusal.New(door.CodeUnavailable, "%s", text)
}

// mention logs that a user is refused for load, unless that was said already.
func (l *Launcher) mention(user core.UserID, cause string) {
	if worth, silent := l.mentions.Worth(l.cfg.People.Of(user), cause); worth {
		l.cfg.Log.Warn("a request is refused for load", "user", string(user), "reason", cause, "unlogged", silent)
	}
}

// charge has user pay for what a request takes in the journal, and waits for it
// if need be: whoever asks faster than the journal can keep is slowed down to
// that, and refused only if others of theirs wait already.
func (l *Launcher) charge(ctx context.Context, user core.UserID, subject core.Subject, size int) error {
	wait, ok := l.quota.Reserve(l.cfg.People.Of(user), size, l.patience())
	if subject.Administrator || ok && wait == 0 {
		return nil
	}
	if !ok {
		text := "your requests have filled your part of the journal"
		l.mention(user, text)
		return refusal.New(door.CodeUnavailable, "%s: try again in %s", text, max(wait, time.Second).Round(time.Second))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return refusal.New(door.CodeUnavailable, "the caller has gone")
	}
}

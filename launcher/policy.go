package launcher

import (
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/wire"
	"kpm/launcher/refusal"
	"kpm/launcher/request"
)

// standing is whether the policy plugin can be asked.
type standing uint8

const (
	awaited  standing = iota // it starts, or comes back: questions wait for it
	deciding                 // it listens, and has answered
	absent                   // it will not be there soon: questions are refused
)

// decider is what is known about the policy plugin. Launcher.mu guards it.
type decider struct {
	standing standing
	since    time.Time     // of standing
	listens  bool          // it has subscribed, and has not ended since
	how      string        // absent: how that came about, for callers
	fault    string        // what keeps it from allowing anything, in its own words
	heard    time.Time     // when it last answered anything
	probe    string        // the probe on its way; empty if none is
	probed   time.Time     // when that was sent, or something else was heard since
	settled  chan struct{} // closed when it is heard, or will not be; nil if nobody waits
	timer    *time.Timer
	next     time.Time // when timer fires
}

// PolicyListens is told of each subscription of the policy plugin to its topic.
// It is asked a question of the service's own: the first answer is what lets
// others ask.
func (l *Launcher) PolicyListens() {
	l.mu.Lock()
	l.decider.listens = true
	id := l.newProbe()
	l.mu.Unlock()
	l.send(id)
}

// PolicyDisconnected is told when a connection of the policy plugin has ended.
// Its process may live, and connect again; or it was that of one before it. So
// what it was asked may be lost, and it is probed.
func (l *Launcher) PolicyDisconnected() {
	l.mu.Lock()
	if !l.decider.listens {
		l.mu.Unlock()
		return
	}
	l.lose()
	id := l.newProbe()
	l.mu.Unlock()
	l.send(id)
}

// PolicyLost is told when the policy plugin's process has ended. What it was
// asked is asked again when it is back.
func (l *Launcher) PolicyLost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.decider.listens, l.decider.probe = false, ""
	l.settle()
	l.lose()
}

// PolicyAbsent is told when the policy plugin will not be back soon, and how
// that came about. Until it listens again nobody waits for it.
func (l *Launcher) PolicyAbsent(how string) {
	l.mu.Lock()
	l.decider.how = how
	l.stand(absent)
	l.wake()
	l.mu.Unlock()
	l.changed()
}

// PolicyProbed is the answer to a probe. fault is what, as the plugin says,
// keeps it from allowing anything; empty if nothing does.
func (l *Launcher) PolicyProbed(from core.Principal, id, fault string) error {
	if !request.Policy.Is(from, "") {
		return fmt.Errorf("launcher: probe answered by %s: %w", from, ErrNotPermitted)
	}
	l.mu.Lock()
	d, news := &l.decider, false
	d.heard = time.Now()
	if id == d.probe && d.listens {
		news = d.standing != deciding || d.fault != wire.Printable(fault)
		d.probe, d.fault = "", wire.Printable(fault)
		l.settle()
		l.stand(deciding)
		l.wake()
		l.lookAt(l.due())
	}
	l.mu.Unlock()
	if news {
		l.changed()
	}
	return nil
}

// stand moves to s. The caller holds mu.
func (l *Launcher) stand(s standing) {
	if l.decider.standing != s {
		l.decider.standing, l.decider.since = s, time.Now()
	}
}

// lose has everything that was asked asked again. The caller holds mu.
func (l *Launcher) lose() {
	if l.decider.standing == deciding {
		l.stand(awaited)
	}
	for _, e := range l.active {
		e.unheard = true
	}
}

// wake lets those ask who wait for the policy plugin. The caller holds mu.
func (l *Launcher) wake() {
	for _, e := range l.active {
		if state, _, _ := e.req.View(); e.unheard && state == request.Evaluating {
			select {
			case e.again <- struct{}{}:
			default: // it is awake
			}
		}
	}
}

// mayAsk says whether e can be asked now. If not, it is woken when it can, or
// the error says why there is no use in waiting.
func (l *Launcher) mayAsk(e *elevation) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.decider.standing {
	case deciding:
		e.unheard, e.asked = false, time.Now()
		l.lookBy(e.asked.Add(l.doubt()))
		return true, nil
	case absent:
		return false, fmt.Errorf("nothing can be decided now: %s %s", wire.PolicyPlugin, l.decider.how)
	}
	e.unheard = true
	return false, nil
}

// undecidable refuses, before anything is done for a caller, what could not be
// decided; nil if it could.
func (l *Launcher) undecidable() *refusal.Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.decider.standing != absent {
		return nil
	}
	return refusal.New(door.CodeUnavailable, "nothing can be decided now: %s %s. Tell whoever runs the machine", wire.PolicyPlugin, l.decider.how)
}

// awaiting says what a question still waits for, to be put behind a sentence.
func (l *Launcher) awaiting() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.decider.standing == deciding {
		return ""
	}
	return fmt.Sprintf(" (%s is being started)", wire.PolicyPlugin)
}

// policyQuestion is what KeeperPolicy is asked about e.
func (l *Launcher) policyQuestion(e *elevation) wire.PolicyRequest {
	q := l.questionAbout(e.sealed.Subject, e.origin)
	q.RequestID, q.SealDigest, q.EventType = e.id, e.sealed.Digest, e.eventType()
	if e.file { // nobody is to run anything
		q.TargetUser, q.TargetUserID, q.TargetIsAdministrator = "", "", false
	}
	return q
}

// questionAbout is a question about what s fixes, asked for by whoever is behind it.
func (l *Launcher) questionAbout(s core.Subject, behind core.Origin) wire.PolicyRequest {
	return wire.PolicyRequest{
		EventType: wire.EventPrivilegeElevation,
		UserID:    s.Caller.User, UserName: s.Caller.Name, OtherNames: s.Caller.OtherNames, Administrator: s.Administrator,
		Groups: s.Membership.IDs, GroupNames: s.Membership.Names,
		DoubtfulGroups: s.Membership.DoubtfulIDs, DoubtfulGroupNames: s.Membership.DoubtfulNames, GroupsUnknown: s.Membership.Unknown,
		TargetUser: s.Target.Name, TargetUserID: s.Target.User, TargetIsAdministrator: s.Target.User == l.cfg.Facts.Administrator,
		MachineName: l.cfg.Machine(),
		FilePath:    s.Executable.Path, RequestedPath: s.Executable.Requested, FileHash: s.Executable.SHA256,
		Arguments: wire.Shown(s.Argv), ArgumentBytes: wire.Bytes(s.Argv), WorkingDirectory: s.Dir,
		Signers: s.Executable.Signers, SignersKnown: s.Executable.SignersKnown,
		RequestedBy: behind.By, Agent: behind.Agent,
	}
}

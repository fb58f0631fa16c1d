package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/wire"
	"kpm/launcher/approval"
)

// approverDesktops are the sessions in which approvers are asked, one dialog at a time
// in each: what waits longest first, and nothing twice.
//
// Attack: somebody asks for so many approvals that dialogs cover an approver's desktop,
// and keep every job from its turn.
type approverDesktops struct {
	mu    sync.Mutex
	asked map[core.SessionID]map[string]bool // approvals, by id
	busy  map[core.SessionID]bool
}

func newApproverDesktops() *approverDesktops {
	return &approverDesktops{asked: map[core.SessionID]map[string]bool{}, busy: map[core.SessionID]bool{}}
}

// next chooses what the approver in a session is to be asked now, and remembers that; ""
// is nothing. waiting are those that they may decide on, the longest first.
func (d *approverDesktops) next(session core.SessionID, waiting []string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.asked[session]
	now := map[string]bool{}
	for _, id := range waiting { // what is over is forgotten
		if before[id] {
			now[id] = true
		}
	}
	d.asked[session] = now
	if d.busy[session] {
		return ""
	}
	for _, id := range waiting {
		if !now[id] {
			now[id] = true
			return id
		}
	}
	return ""
}

// only forgets what is not one of these sessions.
func (d *approverDesktops) only(sessions []core.Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.asked {
		if !slices.ContainsFunc(sessions, func(s core.Session) bool { return s.ID == id }) {
			delete(d.asked, id)
		}
	}
}

// take has one dialog in a session, until leave; false if another is there, after which
// this one comes.
func (d *approverDesktops) take(session core.SessionID, id string) (leave func(), free bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[session] {
		delete(d.asked[session], id)
		return nil, false
	}
	d.busy[session] = true
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.busy, session)
	}, true
}

// askApprovers starts the job that asks an approver on their desktop, in each session of
// one who may decide on something that they were not asked about there. The event is no
// evidence of anything: who decides is whose session the dialog is in.
func (s *service) askApprovers(ctx context.Context) {
	var open []approval.Record
	for _, r := range s.approvals.List() {
		if r.State.Open() {
			open = append(open, r)
		}
	}
	if len(open) == 0 && s.desktops.idle() {
		return
	}
	slices.SortFunc(open, func(x, y approval.Record) int { return x.Created.Compare(y.Created) })
	within, cancel := context.WithTimeout(ctx, sessionsWithin)
	defer cancel()
	sessions, err := s.host.Sessions.List(within)
	if err != nil {
		return // nobody is known to have a desktop
	}
	s.desktops.only(sessions)
	for _, session := range sessions {
		if !session.Graphical {
			continue
		}
		p, err := s.approverIn(session)
		if err != nil {
			s.log.Debug("who is at a desktop is not known", "session", session.ID, "error", err)
			continue
		}
		var waiting []string
		for i := range open {
			if approval.MayDecide(&open[i], p) {
				waiting = append(waiting, open[i].ID)
			}
		}
		id := s.desktops.next(session.ID, waiting)
		if id == "" {
			continue
		}
		err = s.publish(ctx, wire.TopicEvents, wire.TypeEvent, wire.Event{Name: wire.EventApprovalRequested, Context: map[string]any{
			"ApprovalUid": id, "EventType": wire.EventPrivilegeElevation, "UserName": p.Name, "SessionId": string(session.ID),
		}}, "")
		if err != nil && ctx.Err() == nil {
			s.log.Warn("an approver is not asked on their desktop", "approval", id, "user", p.Name, "error", err)
		}
	}
}

// idle reports whether nothing is remembered.
func (d *approverDesktops) idle() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked) == 0
}

// approverIn is whoever sits at a desktop: a user of this machine, with the groups that
// programs are given there, and never an administrator.
func (s *service) approverIn(session core.Session) (approval.Person, error) {
	account, err := s.host.Accounts.ByID(session.User)
	if err != nil {
		return approval.Person{}, err
	}
	names, err := s.host.Accounts.GroupNames(core.Every(nil, account))
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return approval.Person{}, err
	}
	groups := core.NewMembership(nil, account, names)
	return approval.Person{User: account.User, Name: account.Name, Login: account.User, Groups: groups.IDs, GroupNames: groups.Names}, nil
}

var errNotTheirs = core.NewError(core.NotPermitted, "who is at this desktop may not decide on this approval")

// decideOnDesktop asks an approver by a dialog, and decides as they say. One that is
// closed or killed, or not answered in time, decides nothing: what waits goes on
// waiting, for other approvers as well.
//
// A dialog is the person's own process: another one of theirs can have it say yes, and
// can say so itself through the API. It is asked as its session's user, whose the
// service starts it as, and whatever it says is theirs.
func (s *service) decideOnDesktop(ctx context.Context, on dialog.Desktop, id string, show dialog.Show) error {
	account, err := s.host.Accounts.ByName(on.User)
	if err != nil {
		return err
	}
	p, err := s.approverIn(core.Session{User: account.User})
	if err != nil {
		return err
	}
	r, err := s.approvals.Get(id)
	switch {
	case err != nil:
		return err
	case !r.State.Open():
		return nil // somebody was faster
	case !approval.MayDecide(&r, p):
		return errNotTheirs
	}
	leave, free := s.desktops.take(on.Session, r.ID)
	if !free {
		return nil
	}
	defer s.news.poke() // for what waits behind it
	defer leave()

	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() { // another approver decides meanwhile, or time does
		if _, err := s.approvals.Wait(ctx, r.ID); err == nil {
			cancel()
		}
	})
	answer, err := show(ctx, on, s.decision(&r))
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	switch answer.Outcome {
	case dialog.Approved:
		_, err = s.approvals.Approve(r.ID, p, "", 0)
	case dialog.Denied:
		_, err = s.approvals.Deny(r.ID, p, wire.Printable(answer.Text))
	case dialog.Unavailable:
		err = fmt.Errorf("the desktop cannot ask: %s", wire.Printable(answer.Text))
	default:
		s.log.Info("an approver has closed the dialog without a decision", "approval", r.ID, "user", p.Name)
	}
	return err
}

// maxShownToApprover bounds each text in an approver's dialog, in bytes.
const maxShownToApprover = 1000

// decision is what an approver is asked.
func (s *service) decision(r *approval.Record) dialog.Question {
	shown := s.approvalView(r, nil)
	short := func(text string) string {
		if text = wire.Escaped(text); len(text) > maxShownToApprover {
			text = fmt.Sprintf("%.*s ... and more, which keeperAgent --approval shows", maxShownToApprover, text)
		}
		return wire.Printable(text)
	}
	return dialog.Question{
		Kind: dialog.KindDecision, Code: r.ID, Program: short(shown.FilePath), Target: short(shown.TargetUser), CommandLine: short(shown.CommandLine),
		Directory: short(shown.Directory), Requester: short(shown.UserName), Reason: short(cmp.Or(shown.Justification, "none")),
		Text: "Approve it? It may then be run once.",
	}
}

package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher/approval"
	"kpm/launcher/journal"
)

// maxApprovalKey bounds the file of the sealed key for codes, in bytes.
const maxApprovalKey = 64 << 10

// startApprovals opens what approvers were asked before.
func (s *service) startApprovals(context.Context, Options) error {
	log := s.log.With("component", "approvals")
	s.news, s.notices, s.desktops = newApprovalNews(), newNotices(), newApproverDesktops()
	a := s.app.Approvals
	var err error
	s.approvals, err = approval.Open(s.layout.ApprovalRecords(), approval.Limits{
		Pending: a.Pending, Escalated: a.Escalated, Expiration: a.Expiration, Usable: a.Usable, MaxPerUser: a.MaxPerUser, Max: a.Max,
	}, approval.SystemClock(s.host.Clock), s.people(), s.knownUser, s.approvalChanged, log)
	if err != nil {
		return err
	}
	s.onStop(s.approvals.Close)
	s.codes = approval.NewCodes(approval.CodesConfig{
		Book: s.approvals, Path: s.layout.ApprovalKey(), Read: func(path string) ([]byte, error) { return s.host.Files.ReadProtected(path, maxApprovalKey) },
		WriteAtomic: s.host.Files.WriteAtomic, Remove: os.Remove, Sealer: sealer{s}, Tries: s.tries, Journal: s.journal, Log: log,
	})
	return nil
}

// knownUser finds a user for whoever is told whom to ask. Somebody whom a directory that
// does not answer may have is known.
func (s *service) knownUser(user string) (core.UserID, bool) {
	find := s.host.Accounts.ByName
	if id, isID := strings.CutPrefix(user, "#"); isID {
		find = func(string) (core.Account, error) { return s.host.Accounts.ByID(core.UserID(id)) }
	}
	account, err := find(user)
	return account.User, err == nil || !errors.Is(err, core.ErrNoAccount)
}

// serveApprovals keeps deadlines and tells what has changed, from now on.
func (s *service) serveApprovals(ctx context.Context, _ Options) error {
	s.background(ctx, func(ctx context.Context) { s.approvals.Serve(ctx, s.approvalEnds) })
	s.background(ctx, s.showNotices)
	s.background(ctx, s.tellApprovals)
	return nil
}

// approvalChanged writes down what has become of an approval. The journal comes
// after the record itself, so that nothing is in it which did not happen.
func (s *service) approvalChanged(r approval.Record) {
	line := journal.Record{
		Type: journal.Approval, Request: r.Request, UserID: r.Want.User, User: r.Want.Name, TargetID: r.Want.Target, Target: r.Want.TargetName, Seal: r.Want.Seal,
		Cause: string(r.State), Message: fmt.Sprintf("approval %s of %s", r.ID, wire.Printable(r.Want.Path)), By: core.ServicePrincipal().String(),
	}
	if n := len(r.Decisions); n > 0 && r.Decisions[n-1].At.Equal(r.Modified) {
		said := r.Decisions[n-1]
		line.By, line.Cause = said.Name, string(said.Cause)
		if said.Comment != "" {
			line.Message += ": " + said.Comment
		}
	}
	if err := s.journal.Append(line); err != nil {
		s.log.Error("an approval is not in the journal", "approval", r.ID, "state", r.State, "error", err)
	}
	s.news.add(r)
	left := s.approvals.Remaining(&r)
	switch one, is := approvalNotice(&r, left); {
	case !is:
	case one.Kind == view.NoticeApproved: // a default job shows that
		s.notices.say(r.Want.User, one)
	default:
		s.notify(r.Want.User, r.Want.Name, string(r.Want.Session), one)
	}
}

// maxNews bounds what waits to be told. Beyond, the oldest is not told: whoever
// needs it asks.
const maxNews = 1024

// approvalNews are changes that the bus has not been told of.
type approvalNews struct {
	mu   sync.Mutex
	list []approval.Record
	some chan struct{}
}

func newApprovalNews() *approvalNews { return &approvalNews{some: make(chan struct{}, 1)} }

func (n *approvalNews) add(r approval.Record) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.list = append(n.list, r); len(n.list) > maxNews {
		n.list = n.list[1:]
	}
	n.poke()
}

// poke has what waits looked at again.
func (n *approvalNews) poke() {
	select {
	case n.some <- struct{}{}:
	default:
	}
}

func (n *approvalNews) take() []approval.Record {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := n.list
	n.list = nil
	return list
}

// tellApprovals publishes what has changed: each record on topic RequestApproval, for
// approvers' tools, and the event of an approved request, for the requester.
func (s *service) tellApprovals(ctx context.Context) {
	for {
		select {
		case <-s.news.some:
		case <-ctx.Done():
			return
		}
		for _, r := range s.news.take() {
			if err := s.publish(ctx, wire.TopicApproval, wire.TypeApproval, s.approvalView(&r, nil), ""); err != nil && ctx.Err() == nil {
				s.log.Debug("an approval was not published", "approval", r.ID, "error", err)
			}
			if r.State == approval.Approved && r.Decisions[len(r.Decisions)-1].Cause == approval.Approve {
				s.tellRequester(ctx, &r)
			}
		}
		s.askApprovers(ctx)
	}
}

// tellRequester starts the job that tells somebody what they may run now. The event
// is no evidence of anything: the record is.
func (s *service) tellRequester(ctx context.Context, r *approval.Record) {
	shown := s.approvalView(r, nil)
	name, eventType := wire.EventLaunchApproved, wire.EventPrivilegeElevation
	if r.Want.Kind == approval.FileAccess {
		name, eventType = wire.EventGrantFileAccess, wire.EventFileAccess
	}
	err := s.publish(ctx, wire.TopicEvents, wire.TypeEvent, wire.Event{Name: name, Context: map[string]any{
		"ApprovalUid": r.ID, "EventType": eventType, "UserName": r.Want.Name, "TargetUser": r.Want.TargetName,
		"FilePath": r.Want.Path, "CommandLine": shown.CommandLine, "Arguments": shown.Arguments, "SessionId": string(r.Want.Session),
	}}, "")
	if err != nil && ctx.Err() == nil {
		s.log.Warn("a requester is not told that their request is approved", "approval", r.ID, "error", err)
	}
}

package service

import (
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"kpm/api"
	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher/approval"
)

// approvalDesk is where approvers come to: it finds out who they are, and package
// approval what they may.
type approvalDesk struct{ *service }

var _ api.Approvals = approvalDesk{}

// remotePlugin is the one plugin that may hand on what approvers elsewhere say.
const remotePlugin = "KeeperAPI"

// maxApprovalsOver bounds how many approvals that are over are listed.
const maxApprovalsOver = 200

var (
	errNoApprover = core.NewError(core.NotPermitted, "approvals are decided on by people, from a session of their own: not by plugins and jobs, and not from within an elevation")
	errNoName     = core.NewError(core.Invalid, "approver is who has decided elsewhere, a printable name of at most 256 bytes, and plugin KeeperAPI alone gives one")
)

// person is whoever asks. Attacks: a process in a user's session that the service has
// started decides in that user's name (decision 27); a command that was elevated, and
// is root, approves the next one.
func (d approvalDesk) person(who core.Principal, peer core.Peer) (approval.Person, error) {
	if d.isRemote(who) {
		return approval.Person{Remote: true}, nil
	}
	if who.Kind != core.User && who.Kind != core.Admin {
		return approval.Person{}, errNoApprover
	}
	if _, root := (people{d.registry, d.host.Accounts, d.app.Requests.AllowUnknownUsers}).Identify(peer); root != (core.ProcessID{}) {
		return approval.Person{}, errNoApprover
	}
	subject, err := d.sealer.Who(peer)
	if err != nil {
		return approval.Person{}, fmt.Errorf("%w: %w", errNoApprover, err)
	}
	return approval.Person{
		User: subject.Caller.User, Name: subject.Caller.Name, Login: peer.Login,
		Groups: subject.Membership.IDs, GroupNames: subject.Membership.Names, Administrator: who.Kind == core.Admin,
	}, nil
}

// isRemote reports whether who is the plugin that speaks for approvers elsewhere, and
// this machine lets it.
func (d approvalDesk) isRemote(who core.Principal) bool {
	return d.app.Approvals.Remote && who.Kind == core.Plugin && !who.InUserSession && (who.Name == remotePlugin || who.Name == "KeeperApi")
}

// decider is person, with the name that a remote approver goes by.
func (d approvalDesk) decider(who core.Principal, peer core.Peer, name string) (approval.Person, error) {
	p, err := d.person(who, peer)
	switch {
	case err != nil:
		return p, err
	case p.Remote != (name != ""), len(name) > 256, !utf8.ValidString(name), wire.Printable(name) != name:
		return p, errNoName
	case p.Remote:
		p.User, p.Name = core.UserID("remote:"+name), name
	}
	return p, nil
}

// List implements api.Approvals.
func (d approvalDesk) List(who core.Principal, peer core.Peer) (list []view.Approval, err error) {
	p, err := d.person(who, peer)
	if err != nil {
		return nil, err
	}
	over := 0
	for _, r := range d.approvals.List() {
		if !knows(&r, p) {
			continue
		}
		if r.State.Final() {
			if over++; over > maxApprovalsOver {
				continue
			}
		}
		list = append(list, d.approvalView(&r, &p))
	}
	return list, nil
}

// knows reports whether p may know of r: its requester, its approvers and those who
// have decided on it.
func knows(r *approval.Record, p approval.Person) bool {
	return r.Want.User == p.User || p.Administrator || p.Remote || approval.MayDecide(r, p) ||
		slices.ContainsFunc(r.Decisions, func(d approval.Decision) bool { return d.By == p.User })
}

// Get implements api.Approvals.
func (d approvalDesk) Get(who core.Principal, peer core.Peer, id string) (view.Approval, error) {
	p, err := d.person(who, peer)
	if err != nil {
		return view.Approval{}, err
	}
	r, err := d.approvals.Get(id)
	if err == nil && !knows(&r, p) {
		err = fmt.Errorf("%s: %w", approval.ID(id), approval.ErrUnknown)
	}
	return d.answer(r, p, err)
}

// Approve implements api.Approvals.
func (d approvalDesk) Approve(who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error) {
	p, err := d.decider(who, peer, a.Approver)
	if err != nil {
		return view.Approval{}, err
	}
	r, err := d.approvals.Approve(id, p, a.Comment, minutes(a.ExpireIn))
	return d.answer(r, p, err)
}

// Deny implements api.Approvals.
func (d approvalDesk) Deny(who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error) {
	p, err := d.decider(who, peer, a.Approver)
	if err != nil {
		return view.Approval{}, err
	}
	r, err := d.approvals.Deny(id, p, a.Comment)
	return d.answer(r, p, err)
}

// Extend implements api.Approvals.
func (d approvalDesk) Extend(who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error) {
	p, err := d.decider(who, peer, a.Approver)
	if err != nil {
		return view.Approval{}, err
	}
	r, err := d.approvals.Extend(id, p, a.Comment, minutes(a.ExpireIn))
	return d.answer(r, p, err)
}

// Withdraw implements api.Approvals.
func (d approvalDesk) Withdraw(who core.Principal, peer core.Peer, id string) (view.Approval, error) {
	p, err := d.person(who, peer)
	if err != nil {
		return view.Approval{}, err
	}
	r, err := d.approvals.Withdraw(id, p.User)
	return d.answer(r, p, err)
}

// Code implements api.Approvals. Whoever has the code approves: who types it is the
// requester.
func (d approvalDesk) Code(ctx context.Context, who core.Principal, peer core.Peer, id, code string) (view.Approval, error) {
	p, err := d.person(who, peer)
	if err != nil {
		return view.Approval{}, err
	}
	r, err := d.codes.Approve(ctx, id, p.User, code)
	return d.answer(r, p, err)
}

// approvalKeys is the key for codes, for the API.
type approvalKeys struct{ *service }

var _ api.ApprovalKeys = approvalKeys{}

// Get implements api.ApprovalKeys.
func (k approvalKeys) Get() (view.ApprovalKey, error) {
	at, by, err := k.codes.Key()
	if err != nil {
		return view.ApprovalKey{}, err
	}
	return view.ApprovalKey{Machine: machineName(), At: at, By: by}, nil
}

// New implements api.ApprovalKeys.
func (k approvalKeys) New(ctx context.Context, by core.Principal, replace bool) (view.ApprovalKey, error) {
	key, err := k.codes.NewKey(ctx, by, replace)
	if err != nil {
		return view.ApprovalKey{}, err
	}
	shown, err := k.Get()
	shown.Key = key.String()
	return shown, err
}

// Remove implements api.ApprovalKeys.
func (k approvalKeys) Remove(by core.Principal) error { return k.codes.RemoveKey(by) }

// mostMinutes is beyond what anybody may ask for; the settings allow less.
const mostMinutes = 366 * 24 * 60

// minutes is n of them, and for more than there may be, as many as that.
func minutes(n int) time.Duration { return time.Duration(min(n, mostMinutes)) * time.Minute }

func (d approvalDesk) answer(r approval.Record, p approval.Person, err error) (view.Approval, error) {
	if err != nil {
		return view.Approval{}, err
	}
	return d.approvalView(&r, &p), nil
}

// approvalView is r as it is shown to p; to nobody in particular if p is nil.
func (s *service) approvalView(r *approval.Record, p *approval.Person) view.Approval {
	w := &r.Want
	argv := make([]string, len(w.Argv))
	for i, arg := range w.Argv {
		argv[i] = string(arg)
	}
	shown := wire.Shown(argv)
	v := view.Approval{
		ID: r.ID, ApprovalUID: r.ID, ApprovalType: view.ApprovalTypeElevation, Status: r.State.Published(),
		Used: r.State == approval.Used, Withdrawn: r.State == approval.Withdrawn,
		UserName: w.Name, UserID: w.User, TargetUser: w.TargetName, FilePath: w.Path, RequestedPath: w.Requested,
		Arguments: shown, ArgumentBytes: wire.Bytes(argv), CommandLine: wire.Quoted(s.host.Facts.Platform, shown), Directory: w.Dir, SealDigest: w.Seal,
		Justification: r.Justification, Created: r.Created.UnixMilli(), Modified: r.Modified.UnixMilli(),
		Approvers: append([]core.ApprovalRule{}, w.Rules...), Decisions: []view.ApprovalDecision{}, RequestID: r.Request,
	}
	if w.Kind == approval.FileAccess {
		v.ApprovalType = view.ApprovalTypeFileAccess
	}
	if !r.State.Final() {
		v.ExpireIn = int((s.approvals.Remaining(r) + time.Minute - 1) / time.Minute)
	}
	for _, said := range r.Decisions {
		decision := string(said.Cause)
		if said.Cause == approval.Agree {
			decision = string(approval.Approve)
		}
		v.Decisions = append(v.Decisions, view.ApprovalDecision{Approver: said.Name, ApproverID: said.By, Decision: decision, Comment: said.Comment, At: said.At.UnixMilli()})
	}
	if p != nil && w.User == p.User {
		if r.State.Open() { // whom to ask
			v.Approvers = s.approvals.Eligible(w)
		}
		v.Challenge = s.codes.Challenge(r)
	}
	if p != nil {
		v.Own, v.MayDecide = w.User == p.User, !r.State.Final() && approval.MayDecide(r, *p)
	}
	return v
}

package api_test

import (
	"context"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/view"
)

// approvalsOf is one approval, on which users and administrators may decide.
type approvalsOf struct{ *world }

const oneApproval = "ABCD-2345"

func (a approvalsOf) one(who core.Principal, id string) (view.Approval, error) {
	switch {
	case who.Kind != core.User && who.Kind != core.Admin:
		return view.Approval{}, core.NewError(core.NotPermitted, "no person")
	case id != oneApproval:
		return view.Approval{}, fmt.Errorf("%q: %w", id, core.NewError(core.NotFound, "no such approval"))
	}
	return view.Approval{ID: id, ApprovalUID: id, ApprovalType: view.ApprovalTypeElevation, Status: core.ApprovalPending, Arguments: []string{"id"},
		Approvers: []core.ApprovalRule{{Number: 1}}, Decisions: []view.ApprovalDecision{}}, nil
}

func (a approvalsOf) List(who core.Principal, _ core.Peer) ([]view.Approval, error) {
	one, err := a.one(who, oneApproval)
	if err != nil {
		return nil, err
	}
	return []view.Approval{one}, nil
}

func (a approvalsOf) Get(who core.Principal, _ core.Peer, id string) (view.Approval, error) {
	return a.one(who, id)
}

func (a approvalsOf) decide(verb string, who core.Principal, id string, answer view.ApprovalAnswer) (view.Approval, error) {
	one, err := a.one(who, id)
	if err == nil {
		one.Decisions = append(one.Decisions, view.ApprovalDecision{Approver: who.String(), Decision: verb, Comment: answer.Comment})
	}
	return one, err
}

func (a approvalsOf) Approve(who core.Principal, _ core.Peer, id string, answer view.ApprovalAnswer) (view.Approval, error) {
	return a.decide("approve", who, id, answer)
}

func (a approvalsOf) Deny(who core.Principal, _ core.Peer, id string, answer view.ApprovalAnswer) (view.Approval, error) {
	return a.decide("deny", who, id, answer)
}

func (a approvalsOf) Extend(who core.Principal, _ core.Peer, id string, answer view.ApprovalAnswer) (view.Approval, error) {
	return a.decide("extend", who, id, answer)
}

func (a approvalsOf) Withdraw(who core.Principal, _ core.Peer, id string) (view.Approval, error) {
	return a.one(who, id)
}

func (a approvalsOf) Code(_ context.Context, who core.Principal, _ core.Peer, id, code string) (view.Approval, error) {
	one, err := a.one(who, id)
	if err == nil && code != "12345-67890" {
		err = core.NewError(core.NotPermitted, "the code is wrong")
	}
	one.Challenge = "ABCD-EFGH-2345-WXYZ"
	return one, err
}

// keysOf is a machine without a key for codes, until one is made.
type keysOf struct{ *world }

func (keysOf) Get() (view.ApprovalKey, error) {
	return view.ApprovalKey{Machine: "host", By: "root", At: time.Unix(0, 0).UTC()}, nil
}

func (keysOf) New(_ context.Context, by core.Principal, replace bool) (view.ApprovalKey, error) {
	if !replace {
		return view.ApprovalKey{}, core.NewError(core.Conflict, "there is one")
	}
	return view.ApprovalKey{Machine: "host", By: by.String(), Key: "GEZDGNBV"}, nil
}

func (keysOf) Remove(core.Principal) error { return nil }

// noticesOf says one thing to everybody.
type noticesOf struct{ *world }

func (noticesOf) Listen(core.UserID) (<-chan view.Notice, func(), error) {
	said := make(chan view.Notice, 1)
	said <- view.Notice{Kind: view.NoticeDenied, ID: oneApproval, Text: "it is refused"}
	close(said)
	return said, func() {}, nil
}

// promptsOf asks everybody one thing, and lets people answer.
type promptsOf struct{ *world }

func (promptsOf) Listen(core.Principal, core.Peer) (<-chan view.Prompt, func(), error) {
	said := make(chan view.Prompt, 1)
	said <- view.Prompt{Kind: view.PromptQuestion, ID: "Q1", Question: &dialog.Question{Kind: dialog.KindCode, Code: "ABCDEF", Text: "Enter your code:", Secret: true}}
	close(said)
	return said, func() {}, nil
}

func (promptsOf) Answer(who core.Principal, _ core.Peer, id string, _ dialog.Answer) error {
	switch {
	case who.Kind != core.User && who.Kind != core.Admin:
		return core.NewError(core.NotPermitted, "questions are for people")
	case id != "Q1":
		return core.NewError(core.NotFound, "there is no such question")
	}
	return nil
}

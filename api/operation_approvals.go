package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Approvals decides for, and shows to, whoever is at the other end. Who that may be,
// and what of it they may, is its affair; no answer says that there is an approval
// which the caller may not know of. Errors may be of kind NotFound, NotPermitted,
// Conflict or Invalid.
type Approvals interface {
	List(who core.Principal, peer core.Peer) ([]view.Approval, error)
	Get(who core.Principal, peer core.Peer, id string) (view.Approval, error)
	Approve(who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error)
	Deny(who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error)
	Extend(who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error)
	// Withdraw takes the caller's own back.
	Withdraw(who core.Principal, peer core.Peer, id string) (view.Approval, error)
	// Code approves the caller's own by a code of the help desk's.
	Code(ctx context.Context, who core.Principal, peer core.Peer, id, code string) (view.Approval, error)
}

func approvalOperations(approvals Approvals) group {
	h := approvalHandlers{approvals}
	one := operation{
		access: approverTier, answer: answer{status: http.StatusOK, description: "The approval as it is now", schema: ref("Approval")},
		notFound: codeUnknownApproval, problems: []int{http.StatusInternalServerError},
	}
	decide := func(verb, summary, description string, f decider) operation {
		o := one
		o.method, o.path, o.id, o.summary, o.description = http.MethodPost, "/api/approvals/{approvalId}/"+verb, verb+"Approval", summary, description
		o.body = &body{schema: `{
			"type": "object",
			"properties": {
				"comment": {"type": "string", "maxLength": 1000},
				"expireIn": {"type": "integer", "minimum": 0, "maximum": 527040, "description": "minutes"},
				"approver": {"type": "string", "maxLength": 256, "description": "who has decided elsewhere; from plugin KeeperAPI alone"}
			}
		}`}
		o.problems = []int{http.StatusConflict, http.StatusInternalServerError}
		o.handle = func(c *call) (any, error) { return h.decide(c, f) }
		return o
	}
	get, withdraw := one, one
	get.method, get.path, get.id, get.summary, get.handle = http.MethodGet, "/api/approvals/{approvalId}", "getApproval", "One approval", h.get
	withdraw.method, withdraw.path, withdraw.id, withdraw.summary, withdraw.handle = http.MethodPost, "/api/approvals/{approvalId}/withdraw", "withdrawApproval", "Take back one's own", h.withdraw
	withdraw.problems = []int{http.StatusConflict, http.StatusInternalServerError}
	code := withdraw
	code.path, code.id, code.summary, code.handle = "/api/approvals/{approvalId}/code", "codeForApproval", "Enter a one-time code of the help desk's for one's own", h.code
	code.description = "The code is one approver of each policy. Five wrong codes in a row lock the caller out of codes."
	code.body = &body{required: true, schema: `{"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}}`}
	code.problems = []int{http.StatusConflict, http.StatusInternalServerError, http.StatusServiceUnavailable}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/approvals", access: approverTier, handle: h.list,
			id: "listApprovals", summary: "Approvals that the caller has asked for or may decide on",
			description: "All of them for administrators. The latest first; of those that are over, the last 200.",
			answer:      answer{status: http.StatusOK, description: "The approvals", schema: listOf("Approval")},
			problems:    []int{http.StatusInternalServerError},
		}, get,
			decide("approve", "Agree", "The last approver that is needed approves it; expireIn is for how long it may be used, at most as long as the settings allow.", Approvals.Approve),
			decide("deny", "Refuse", "One approver is enough.", Approvals.Deny),
			decide("extend", "Let it wait, or be used, for longer", "expireIn is from now, and required. It is never shortened.", Approvals.Extend),
			withdraw, code},
		parameters: map[string]parameter{"approvalId": {"An approval's id, as it is shown or without its hyphen", 64}},
		schemas:    map[string]schema{"Approval": approvalSchema},
	}
}

type approvalHandlers struct{ approvals Approvals }

type decider func(to Approvals, who core.Principal, peer core.Peer, id string, a view.ApprovalAnswer) (view.Approval, error)

// peer is who is at the other end; nobody on a connection of a job's Http task.
func (c *call) peer() core.Peer {
	if c.who.bound {
		return core.Peer{}
	}
	return connOf(c.Request).peer
}

func (h approvalHandlers) list(c *call) (any, error) {
	list, err := h.approvals.List(c.who.Principal, c.peer())
	if err != nil {
		return nil, err
	}
	return append([]view.Approval{}, list...), nil
}

func (h approvalHandlers) get(c *call) (any, error) {
	return shown(h.approvals.Get(c.who.Principal, c.peer(), c.values["approvalId"]))
}

func (h approvalHandlers) withdraw(c *call) (any, error) {
	return shown(h.approvals.Withdraw(c.who.Principal, c.peer(), c.values["approvalId"]))
}

func (h approvalHandlers) code(c *call) (any, error) {
	var given view.ApprovalCode
	if err := c.readObject(&given, false); err != nil {
		return nil, err
	}
	return shown(h.approvals.Code(c.Context(), c.who.Principal, c.peer(), c.values["approvalId"], given.Code))
}

func (h approvalHandlers) decide(c *call, f decider) (any, error) {
	var answer view.ApprovalAnswer
	if err := c.readObject(&answer, true); err != nil {
		return nil, err
	}
	return shown(f(h.approvals, c.who.Principal, c.peer(), c.values["approvalId"], answer))
}

func shown(a view.Approval, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return a, nil
}

const approvalSchema schema = `{
	"type": "object",
	"required": ["id", "approvalUid", "approvalType", "status", "used", "withdrawn", "userName", "userId", "targetUser", "filePath", "requestedPath",
		"arguments", "commandLine", "workingDirectory", "sealDigest", "justification", "created", "modified", "expireIn", "approvers", "decisions", "own", "mayDecide"],
	"properties": {
		"id": {"type": "string"},
		"approvalUid": {"type": "string"},
		"approvalType": {"type": "integer", "description": "1 is PrivilegeElevation"},
		"status": {"enum": ["pending", "approved", "denied", "expired", "escalated"]},
		"used": {"type": "boolean", "description": "a request has used it up"},
		"withdrawn": {"type": "boolean", "description": "its requester has taken it back"},
		"userName": {"type": "string"},
		"userId": {"type": "string"},
		"targetUser": {"type": "string"},
		"filePath": {"type": "string", "description": "the program as it was sealed"},
		"requestedPath": {"type": "string"},
		"arguments": {"type": "array", "items": {"type": "string"}},
		"argumentBytes": {"type": "object", "additionalProperties": {"type": "string"}, "description": "arguments that are not UTF-8, by their place, in base64"},
		"commandLine": {"type": "string"},
		"workingDirectory": {"type": "string"},
		"sealDigest": {"type": "string"},
		"justification": {"type": "string"},
		"created": {"type": "integer", "description": "milliseconds since 1970"},
		"modified": {"type": "integer"},
		"expireIn": {"type": "integer", "minimum": 0, "description": "minutes from now"},
		"approvers": {"type": "array", "items": {"type": "object"}},
		"decisions": {"type": "array", "items": {
			"type": "object",
			"required": ["approver", "approverId", "decision", "at"],
			"properties": {
				"approver": {"type": "string"},
				"approverId": {"type": "string"},
				"decision": {"enum": ["approve", "deny", "extend", "schedule"]},
				"comment": {"type": "string"},
				"at": {"type": "integer"}
			},
			"additionalProperties": false
		}},
		"requestId": {"type": "string"},
		"own": {"type": "boolean"},
		"mayDecide": {"type": "boolean"},
		"challenge": {"type": "string", "description": "what the requester reads to the help desk, for a code"}
	},
	"additionalProperties": false
}`

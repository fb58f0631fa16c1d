package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Accounts are those that are made for one command each. Errors are of kind NotFound,
// Conflict, NotPermitted or Unsupported and told to the caller.
type Accounts interface {
	// Prepare makes the account of an allowed request, on behalf of the job run that
	// was started for it, and returns its name.
	Prepare(ctx context.Context, from core.Principal, id core.RequestID) (string, error)
	// Clean removes what nothing uses, and returns how many accounts and homes that
	// were.
	Clean(ctx context.Context) (int, error)
}

// accountOperations take a sealed request, never a name or a path (decision 34).
func accountOperations(accounts Accounts) group {
	h := accountHandlers{accounts}
	return group{
		operations: []operation{{
			method: http.MethodPost, path: "/api/ephemeralaccount", access: runOfRequest, handle: h.prepare,
			id: "prepareAccount", summary: "Make the account that an allowed request runs as",
			description: "Only if its policy says so (Extension.EphemeralAccount). Launching makes it otherwise; it is removed when the command has ended.",
			body: &body{required: true, schema: `{
				"type": "object",
				"required": ["RequestId"],
				"properties": {"RequestId": {"type": "string"}}
			}`},
			answer:   answer{status: http.StatusOK, description: "It is there", schema: ref("EphemeralAccount")},
			notFound: codeUnknownRequest, problems: []int{http.StatusConflict, http.StatusInternalServerError}, explains: true,
		}, {
			method: http.MethodPost, path: "/api/ephemeralaccount/cleanup", access: adminTier, handle: h.clean,
			id: "cleanAccounts", summary: "Remove accounts that were made for commands, and their homes, which nothing uses any more",
			answer: answer{status: http.StatusOK, description: "How many", schema: ref("AccountsCleaned")},
		}},
		schemas: map[string]schema{
			"EphemeralAccount": `{
				"type": "object",
				"required": ["RequestId", "UserName"],
				"properties": {"RequestId": {"type": "string"}, "UserName": {"type": "string"}},
				"additionalProperties": false
			}`,
			"AccountsCleaned": `{
				"type": "object",
				"required": ["removed"],
				"properties": {"removed": {"type": "integer", "minimum": 0}},
				"additionalProperties": false
			}`,
		},
	}
}

type accountHandlers struct{ accounts Accounts }

func (h accountHandlers) prepare(c *call) (any, error) {
	body, err := readRequest(c)
	if err != nil {
		return nil, err
	}
	name, err := h.accounts.Prepare(context.WithoutCancel(c.Context()), c.who.Principal, body.RequestID)
	if err != nil {
		return moved(body.RequestID, err)
	}
	return view.EphemeralAccount{RequestID: body.RequestID, UserName: name}, nil
}

func (h accountHandlers) clean(c *call) (any, error) {
	removed, err := h.accounts.Clean(c.Context())
	return view.AccountsCleaned{Removed: removed}, err
}

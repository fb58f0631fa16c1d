package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// ApprovalKeys is the key by which a help desk makes codes that approve requests of this
// machine. Errors are of kind NotFound, Conflict or Unavailable and told to the caller.
type ApprovalKeys interface {
	// Get says when the key was made, without it.
	Get() (view.ApprovalKey, error)
	// New makes one, and shows it this once. Without replace the one that is there
	// stays.
	New(ctx context.Context, by core.Principal, replace bool) (view.ApprovalKey, error)
	Remove(by core.Principal) error
}

// approvalKeyOperations are for administrators: whoever has the key approves everything.
func approvalKeyOperations(keys ApprovalKeys) group {
	h := approvalKeyHandlers{keys}
	one := operation{
		path: "/api/ApprovalKey", access: adminTier, answer: answer{status: http.StatusOK, description: "The key, or that there is one", schema: ref("ApprovalKey")},
		notFound: codeNotFound, problems: []int{http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	get, made, remove := one, one, one
	get.method, get.id, get.summary, get.handle = http.MethodGet, "approvalKey", "Whether this machine takes codes for approvals", h.get
	made.method, made.id, made.summary, made.handle = http.MethodPost, "newApprovalKey", "Make the key by which a help desk makes codes for approvals", h.make
	made.description = "It is shown this once. Whoever has it approves every request of this machine."
	made.body = &body{schema: `{"type": "object", "properties": {"replace": {"type": "boolean", "description": "end the one that there is"}}}`}
	made.problems = []int{http.StatusConflict, http.StatusInternalServerError, http.StatusServiceUnavailable}
	remove.method, remove.id, remove.summary, remove.handle = http.MethodDelete, "removeApprovalKey", "Take no more codes for approvals", h.remove
	return group{
		operations: []operation{get, made, remove},
		schemas: map[string]schema{"ApprovalKey": `{
			"type": "object",
			"required": ["machine", "by"],
			"properties": {
				"machine": {"type": "string"},
				"key": {"type": "string", "description": "base32, when it was just made"},
				"at": {"type": "string", "format": "date-time"},
				"by": {"type": "string", "description": "who has made it"}
			},
			"additionalProperties": false
		}`},
	}
}

type approvalKeyHandlers struct{ keys ApprovalKeys }

func (h approvalKeyHandlers) get(*call) (any, error) { return h.keys.Get() }

func (h approvalKeyHandlers) make(c *call) (any, error) {
	replace, err := c.readReplace()
	if err != nil {
		return nil, err
	}
	return h.keys.New(c.Context(), c.who.Principal, replace)
}

func (h approvalKeyHandlers) remove(c *call) (any, error) {
	before, err := h.keys.Get()
	if err == nil {
		err = h.keys.Remove(c.who.Principal)
	}
	if err != nil {
		return nil, err
	}
	return before, nil
}

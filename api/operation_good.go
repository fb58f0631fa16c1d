package api

import (
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// LastKnownGood knows which of the agent's files are other than what was accepted.
// Errors are of kind NotFound or Unavailable.
type LastKnownGood interface {
	Unapproved() ([]view.Unapproved, error)
	// Approve accepts the changes of one plugin, or with an empty id all there
	// are.
	Approve(by core.Principal, id string) (view.Approved, error)
}

func goodOperations(good LastKnownGood) group {
	approve := operation{
		method: http.MethodPost, access: adminTier,
		answer:   answer{status: http.StatusOK, description: "The files that were accepted", schema: ref("Approved")},
		problems: []int{http.StatusServiceUnavailable, http.StatusInternalServerError}, explains: true,
		handle: func(c *call) (any, error) {
			done, err := good.Approve(c.who.Principal, c.values["name"])
			if err != nil {
				return nil, err
			}
			return done, nil
		},
	}
	one, all := approve, approve
	one.path, one.id, one.summary, one.notFound = "/api/plugins/{name}/approve", "approvePlugin", "Accept the changes of a plugin's file and programs", codeUnknownPlugin
	all.path, all.id, all.summary = "/api/LastKnownGood/approve", "approveAll", "Accept all changes that there are"
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/LastKnownGood", access: adminTier,
			handle: func(*call) (any, error) {
				changes, err := good.Unapproved()
				if err != nil {
					return nil, err
				}
				return append([]view.Unapproved{}, changes...), nil
			},
			id: "unapproved", summary: "Files that are other than what was accepted",
			answer:   answer{status: http.StatusOK, description: "Each of them", schema: listOf("Unapproved")},
			problems: []int{http.StatusServiceUnavailable, http.StatusInternalServerError}, explains: true,
		}, one, all},
		schemas: map[string]schema{
			"Unapproved": `{
				"type": "object",
				"required": ["path", "change"],
				"properties": {
					"path": {"type": "string", "description": "below the agent root"},
					"change": {"type": "string", "enum": ["changed", "added", "removed", "unreadable"]},
					"found": {"type": "string", "description": "SHA-256 in hex, or why it cannot be read"},
					"good": {"type": "string", "description": "SHA-256 in hex"},
					"outcome": {"type": "string"}
				},
				"additionalProperties": false
			}`,
			"Approved": `{
				"type": "object",
				"required": ["approved"],
				"properties": {"approved": {"type": "array", "items": {"type": "string"}}},
				"additionalProperties": false
			}`,
		},
	}
}

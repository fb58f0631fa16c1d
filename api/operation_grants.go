package api

import (
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Grants are what people need not be asked again for a time.
type Grants interface {
	// List returns the grants of a user, or of everybody if user is empty.
	List(user core.UserID) []view.Grant
	// Revoke ends a grant: of that user, or anybody's if user is empty. Errors are of
	// kind NotFound.
	Revoke(id string, user core.UserID, by core.Principal) error
}

// userOwnOrAdmin is for what users may see of themselves, and administrators of
// everybody.
var userOwnOrAdmin = access{name: "User (own) or Admin", tier: core.TierUser}

func grantOperations(list Grants) group {
	h := grantHandlers{list}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/grants", access: userOwnOrAdmin, handle: h.list,
			id: "listGrants", summary: "What need not be asked again for a time",
			description: "Users are shown their own; tier Admin is shown everybody's.",
			answer:      answer{status: http.StatusOK, description: "Grants by the time that they have left", schema: listOf("Grant")},
		}, {
			method: http.MethodDelete, path: "/api/grants/{id}", access: userOwnOrAdmin, handle: h.revoke,
			id: "revokeGrant", summary: "End a grant",
			description: "Users may end their own; somebody else's is unknown to them. Commands that run go on.",
			answer:      answer{status: http.StatusOK, description: "It has ended", schema: ref("GrantRevoked")},
			notFound:    codeUnknownGrant,
		}},
		parameters: map[string]parameter{"id": {"A grant's id", 64}},
		schemas: map[string]schema{
			"Grant": `{
				"type": "object",
				"required": ["id", "user", "userId", "target", "policy", "controls", "from", "requestedBy", "givenAt", "secondsLeft", "renewals"],
				"properties": {
					"id": {"type": "string"},
					"user": {"type": "string", "description": "whose it is"},
					"userId": {"type": "string"},
					"target": {"type": "string", "description": "as whom commands run"},
					"policy": {
						"type": "object",
						"required": ["PolicyId", "PolicyName"],
						"properties": {"PolicyId": {"type": "string"}, "PolicyName": {"type": "string"}},
						"additionalProperties": false
					},
					"controls": {"type": "array", "items": {"type": "string"}, "description": "what need not be satisfied again"},
					"command": {"type": "string", "description": "what it is for; left out for all that the policy is about"},
					"from": {"type": "string", "description": "where it was given, in words"},
					"requestedBy": {"type": "string", "enum": ["terminal", "desktop", "service", "agent"]},
					"givenAt": {"type": "string", "format": "date-time"},
					"secondsLeft": {"type": "integer", "minimum": 0, "description": "by a clock that nobody can set"},
					"usesLeft": {"type": "integer", "minimum": 0, "description": "how many commands it still serves; left out for any number"},
					"renewals": {"type": "integer", "minimum": 0, "description": "how often it was prolonged"}
				},
				"additionalProperties": false
			}`,
			"GrantRevoked": `{
				"type": "object",
				"required": ["id"],
				"properties": {"id": {"type": "string"}},
				"additionalProperties": false
			}`,
		},
	}
}

type grantHandlers struct{ grants Grants }

// whose is whose grants a caller is shown: their own, or for an administrator
// everybody's.
func whose(c *call) core.UserID {
	if c.who.Tier() >= core.TierAdmin {
		return ""
	}
	return c.who.User
}

func (h grantHandlers) list(c *call) (any, error) {
	user := whose(c)
	if user == "" && c.who.Tier() < core.TierAdmin {
		return []view.Grant{}, nil // nobody's
	}
	return append([]view.Grant{}, h.grants.List(user)...), nil // never null
}

func (h grantHandlers) revoke(c *call) (any, error) {
	user, id := whose(c), c.values["id"]
	if user == "" && c.who.Tier() < core.TierAdmin {
		return nil, problem(codeUnknownGrant, "there is no grant %q", id)
	}
	if err := h.grants.Revoke(id, user, c.who.Principal); err != nil {
		return nil, err
	}
	return view.GrantRevoked{ID: id}, nil
}

package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Rights are people's places in the machine's groups of administrators. Errors are of
// kind NotFound, Unavailable or Unsupported and told to the caller.
type Rights interface {
	// List returns those of a user, or of everybody if user is empty.
	List(user core.UserID) view.Rights
	// Check compares the groups with policy now.
	Check(ctx context.Context) error
	// Return gives somebody back what policy has taken, for as long as an
	// administrator does not say otherwise by Resume. who is a name, or "#" and an id.
	Return(ctx context.Context, who string, by core.Principal) error
	Resume(who string) error
}

func rightsOperations(rights Rights) group {
	h := rightsHandlers{rights}
	done := answer{status: http.StatusOK, description: "It is done", schema: ref("RightsChecked")}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/rights", access: userOwnOrAdmin, handle: h.list,
			id: "rights", summary: "Who was taken out of the groups of administrators, or is in them for a time",
			description: "Users are shown their own places; tier Admin is shown everybody's.",
			answer:      answer{status: http.StatusOK, description: "Places in groups", schema: ref("Rights")},
		}, {
			method: http.MethodPost, path: "/api/rights/check", access: adminTier, handle: h.check,
			id: "checkRights", summary: "Compare the groups of administrators with policy now",
			description: "It is done by itself after policies have changed, and every Rights:CheckSeconds.",
			answer:      done, problems: []int{http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/rights/{user}/return", access: adminTier, handle: h.giveBack,
			id: "returnRights", summary: "Give somebody back what LeastPrivilege policies have taken",
			description: "Policy leaves it to them from then on, until it is resumed.",
			answer:      done, notFound: codeUnknownUser, problems: []int{http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/rights/{user}/resume", access: adminTier, handle: h.resume,
			id: "resumeRights", summary: "Have policy take again what an administrator has given back",
			answer: done, notFound: codeUnknownUser, problems: []int{http.StatusServiceUnavailable},
		}},
		parameters: map[string]parameter{"user": {"A user's name, or # and the user id", 256}},
		schemas: map[string]schema{
			"Rights": `{
				"type": "object",
				"required": ["taken", "given", "spared"],
				"properties": {
					"taken": {"type": "array", "items": {"$ref": "#/components/schemas/Place"}, "description": "taken by policy"},
					"given": {"type": "array", "items": {"$ref": "#/components/schemas/Place"}, "description": "given for the time of a grant"},
					"spared": {"type": "array", "items": {"$ref": "#/components/schemas/Place"}, "description": "given back by an administrator"}
				},
				"additionalProperties": false
			}`,
			"Place": `{
				"type": "object",
				"required": ["user", "userId", "group", "at"],
				"properties": {
					"user": {"type": "string"},
					"userId": {"type": "string"},
					"group": {"type": "string"},
					"at": {"type": "string", "format": "date-time"},
					"policies": {
						"type": "array",
						"items": {
							"type": "object",
							"required": ["PolicyId", "PolicyName"],
							"properties": {"PolicyId": {"type": "string"}, "PolicyName": {"type": "string"}},
							"additionalProperties": false
						}
					},
					"grant": {"type": "string", "description": "the grant that gives it"},
					"until": {"type": "string", "format": "date-time", "description": "when that ends"},
					"by": {"type": "string", "description": "who has given it back"}
				},
				"additionalProperties": false
			}`,
			"RightsChecked": `{
				"type": "object",
				"required": ["done"],
				"properties": {"done": {"type": "boolean"}},
				"additionalProperties": false
			}`,
		},
	}
}

type rightsHandlers struct{ rights Rights }

func (h rightsHandlers) list(c *call) (any, error) {
	user := whose(c)
	if user == "" && c.who.Tier() < core.TierAdmin {
		return view.Rights{Taken: []view.Place{}, Given: []view.Place{}, Spared: []view.Place{}}, nil // nobody's
	}
	return h.rights.List(user), nil
}

func (h rightsHandlers) check(c *call) (any, error) {
	return view.RightsChecked{Done: true}, h.rights.Check(c.Context())
}

func (h rightsHandlers) giveBack(c *call) (any, error) {
	return view.RightsChecked{Done: true}, h.rights.Return(c.Context(), c.values["user"], c.who.Principal)
}

func (h rightsHandlers) resume(c *call) (any, error) {
	return view.RightsChecked{Done: true}, h.rights.Resume(c.values["user"])
}

package api

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/launcher/fileaccess"
)

// FileGrants give access to files for a time, and say who is kept from which. Errors
// are of kind NotFound, Conflict, TooMany, NotPermitted, Invalid or Unsupported.
type FileGrants interface {
	// List returns the grants of a user, or of everybody if user is empty.
	List(kind fileaccess.Kind, user core.UserID) []view.FileGrant
	// Give gives what an allowed request is about, on behalf of its job run.
	Give(from core.Principal, request core.RequestID, length time.Duration) (view.FileGrant, error)
	// GiveApproved gives what approvers have agreed to, on behalf of the job run that
	// hears of that, and uses the approval up.
	GiveApproved(from core.Principal, approval string, length time.Duration) (view.FileGrant, error)
	// GiveTo gives a user, a name or "#id", access to the file at path.
	GiveTo(by core.Principal, user, path string, length time.Duration) (view.FileGrant, error)
	// Revoke ends a grant: of that user, or anybody's if user is empty.
	Revoke(kind fileaccess.Kind, id string, user core.UserID, by core.Principal) error
	// CleanUp ends what is over, and what is about nobody or nothing that is there.
	CleanUp(kind fileaccess.Kind) view.FileGrantsCleaned
	// Access says who is kept from which files.
	Access() view.FileAccess
}

var adminOrOwnRun = access{name: "Admin, or JobRun of the request", tier: core.TierPlugin, adminElse: true}

// maxMinutes bounds a grant: 24 hours.
const maxMinutes = int(fileaccess.MaxLength / time.Minute)

func fileGrantOperations(grants FileGrants) group {
	g := group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/fileaccess", access: adminTier, handle: fileGrantHandlers{grants, fileaccess.File}.access,
			id: "fileAccess", summary: "Who is kept from which files, and which policies about files cannot be kept",
			answer: answer{status: http.StatusOK, description: "Files whose access control lists have entries of the agent's", schema: ref("FileAccess")},
		}},
		parameters: map[string]parameter{"id": {"A grant's id", 64}},
		schemas:    fileGrantSchemas,
	}
	for _, kind := range []struct {
		kind       fileaccess.Kind
		path, name string
		what       string
	}{
		{fileaccess.File, "/api/filegrants", "FileGrant", "access to a data file"},
		{fileaccess.Execution, "/api/executiongrants", "ExecutionGrant", "leave to start a program that a FileAccess policy asks something for"},
	} {
		h := fileGrantHandlers{grants, kind.kind}
		g.operations = append(g.operations, operation{
			method: http.MethodGet, path: kind.path, access: userOwnOrAdmin, handle: h.list,
			id: "list" + kind.name + "s", summary: "Who has " + kind.what + ", for how long",
			description: "Users are shown their own; tier Admin is shown everybody's.",
			answer:      answer{status: http.StatusOK, description: "Grants in the order in which they were given", schema: listOf("FileGrant")},
		}, operation{
			method: http.MethodPost, path: kind.path, access: adminOrOwnRun, handle: h.give,
			id: "give" + kind.name, summary: "Give " + kind.what + " for a time",
			description: "With RequestId: what an allowed request is about, for the run of LaunchFileAccess that was started for it. With ApprovalUid: what approvers have agreed to, for a run of GrantFileAccess. With UserName and FilePath: tier Admin. Whether it is a data file or a program is the file's own to say.",
			body: &body{required: true, schema: `{
				"type": "object",
				"properties": {
					"RequestId": {"type": "string"},
					"ApprovalUid": {"type": "string"},
					"UserName": {"type": "string", "description": "A name, or # and an id"},
					"FilePath": {"type": "string", "description": "An absolute path"},
					"DurationMinutes": {
						"description": "240 if it is left out; a text with the number is taken too",
						"anyOf": [{"type": "integer", "minimum": 1, "maximum": 1440}, {"type": "string", "pattern": "^[0-9]{1,4}$"}]
					}
				}
			}`},
			answer:   answer{status: http.StatusOK, description: "It is in force", schema: ref("FileGrant")},
			notFound: codeUnknownRequest, problems: []int{http.StatusConflict, http.StatusInternalServerError}, explains: true,
		}, operation{
			method: http.MethodPost, path: kind.path + "/cleanup", access: pluginTier, handle: h.cleanUp,
			id: "cleanUp" + kind.name + "s", summary: "End grants that are over, and those whose user or file is there no more",
			description: "The service does so by itself when time is over; this is for its start.",
			answer:      answer{status: http.StatusOK, description: "How many have ended, and how many there are", schema: ref("FileGrantsCleaned")},
		}, operation{
			method: http.MethodDelete, path: kind.path + "/{id}", access: userOwnOrAdmin, handle: h.revoke,
			id: "revoke" + kind.name, summary: "End a grant",
			description: "Users may end their own; somebody else's is unknown to them. What has the file open goes on.",
			answer:      answer{status: http.StatusOK, description: "It has ended", schema: ref("GrantRevoked")},
			notFound:    codeUnknownGrant,
		})
	}
	return g
}

var fileGrantSchemas = map[string]schema{
	"FileGrant": `{
		"type": "object",
		"required": ["id", "user", "userId", "filePath", "policies", "givenBy", "givenAt", "until", "secondsLeft"],
		"properties": {
			"id": {"type": "string"},
			"user": {"type": "string", "description": "whose it is"},
			"userId": {"type": "string"},
			"filePath": {"type": "string"},
			"policies": {"type": "array", "items": {
				"type": "object",
				"required": ["PolicyId", "PolicyName"],
				"properties": {"PolicyId": {"type": "string"}, "PolicyName": {"type": "string"}},
				"additionalProperties": false
			}},
			"requestId": {"type": "string", "description": "that it was given for; left out for one that was given by hand"},
			"givenBy": {"type": "string"},
			"givenAt": {"type": "string", "format": "date-time"},
			"until": {"type": "string", "format": "date-time"},
			"secondsLeft": {"type": "integer", "minimum": 0}
		},
		"additionalProperties": false
	}`,
	"FileGrantsCleaned": `{
		"type": "object",
		"required": ["ended", "left"],
		"properties": {"ended": {"type": "integer", "minimum": 0}, "left": {"type": "integer", "minimum": 0}},
		"additionalProperties": false
	}`,
	"FileAccess": `{
		"type": "object",
		"required": ["files", "problems"],
		"properties": {
			"files": {"type": "array", "items": {
				"type": "object",
				"required": ["filePath", "denied", "granted", "policies"],
				"properties": {
					"filePath": {"type": "string"},
					"denied": {"type": "array", "items": {"type": "string"}, "description": "user ids"},
					"granted": {"type": "array", "items": {"type": "string"}, "description": "user ids of those who hold a grant"},
					"policies": {"type": "array", "items": {"type": "object"}},
					"fault": {"type": "string", "description": "why the list is not as it is to be"}
				},
				"additionalProperties": false
			}},
			"problems": {"type": "array", "items": {
				"type": "object",
				"required": ["policy", "why"],
				"properties": {"filePath": {"type": "string"}, "policy": {"type": "object"}, "why": {"type": "string"}},
				"additionalProperties": false
			}}
		},
		"additionalProperties": false
	}`,
}

type fileGrantHandlers struct {
	grants FileGrants
	kind   fileaccess.Kind
}

func (h fileGrantHandlers) access(*call) (any, error) { return h.grants.Access(), nil }

func (h fileGrantHandlers) list(c *call) (any, error) {
	user := whose(c)
	if user == "" && c.who.Tier() < core.TierAdmin {
		return []view.FileGrant{}, nil // nobody's
	}
	return append([]view.FileGrant{}, h.grants.List(h.kind, user)...), nil // never null
}

func (h fileGrantHandlers) revoke(c *call) (any, error) {
	user, id := whose(c), c.values["id"]
	if user == "" && c.who.Tier() < core.TierAdmin {
		return nil, problem(codeUnknownGrant, "there is no grant %q", id)
	}
	if err := h.grants.Revoke(h.kind, id, user, c.who.Principal); err != nil {
		return nil, err
	}
	return view.GrantRevoked{ID: id}, nil
}

func (h fileGrantHandlers) cleanUp(*call) (any, error) { return h.grants.CleanUp(h.kind), nil }

// fileGrantBody names what is to be given.
type fileGrantBody struct {
	RequestID   core.RequestID  `json:"RequestId"`
	ApprovalUID string          `json:"ApprovalUid"`
	UserName    string          `json:"UserName"`
	FilePath    string          `json:"FilePath"`
	Minutes     json.RawMessage `json:"DurationMinutes"`
}

// length reads DurationMinutes, a number, or a text with one: a token in a job's body
// becomes a text. It is 0 if it is left out.
func (b *fileGrantBody) length() (time.Duration, error) {
	if len(b.Minutes) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(strings.Trim(string(b.Minutes), `"`))
	if err != nil || n < 1 || n > maxMinutes {
		return 0, badBody("/DurationMinutes", "found %.20s, expected a number from 1 to %d", b.Minutes, maxMinutes)
	}
	return time.Duration(n) * time.Minute, nil
}

// give gives access. A run of one request gives what that request is about and nothing
// else (decision 25); a bare path takes an administrator (decision 34).
func (h fileGrantHandlers) give(c *call) (any, error) {
	var body fileGrantBody
	if err := c.readObject(&body, false); err != nil {
		return nil, err
	}
	length, err := body.length()
	if err != nil {
		return nil, err
	}
	run := c.who.Kind == core.JobRun && !c.who.InUserSession
	switch {
	case body.RequestID != "" && (!run || body.RequestID != c.who.Request):
		return nil, problem(codeNotPermitted, "only the job run that was started for this request may ask for this")
	case body.RequestID != "":
		return h.grants.Give(c.who.Principal, body.RequestID, length)
	case body.ApprovalUID != "" && !run:
		return nil, problem(codeNotPermitted, "only the job run that was started for an approval may ask for this")
	case body.ApprovalUID != "":
		return h.grants.GiveApproved(c.who.Principal, body.ApprovalUID, length)
	case !c.granted && c.who.Tier() < core.TierAdmin:
		return nil, c.who.below(core.TierAdmin)
	case body.UserName == "":
		return nil, badBody("/UserName", "found nothing, expected a user, or a RequestId")
	case body.FilePath == "":
		return nil, badBody("/FilePath", "found nothing, expected an absolute path")
	}
	return h.grants.GiveTo(c.who.Principal, body.UserName, body.FilePath, length)
}

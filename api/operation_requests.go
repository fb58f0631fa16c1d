package api

import (
	"context"
	"fmt"
	"net/http"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/view"
	"kpm/core/wire"
)

// Requests moves elevation requests on behalf of the job run that was started
// for one. launcher.Launcher is one; it checks from again. Errors are of kind
// NotFound, Conflict or NotPermitted, or say what went wrong.
type Requests interface {
	// Launch starts what an allowed request is about.
	Launch(ctx context.Context, from core.Principal, id core.RequestID) error
	// LaunchInSession starts it as whoever asked, in a login session of theirs: AsUser
	// in the one they ask from, AsUserDesktop in the one that shows them windows.
	LaunchInSession(ctx context.Context, from core.Principal, id core.RequestID, as core.RunAs) error
	// Substitute starts what a redirect rule names in its place, and denies it.
	Substitute(ctx context.Context, from core.Principal, id core.RequestID) error
	// Refuse denies a pending request with a message for the person.
	Refuse(from core.Principal, id core.RequestID, message string) error
}

// maxMessage bounds what a control job may tell the person, in bytes.
const maxMessage = 4 << 10

// requestOperations are for the job run that was started for a request, and for
// that request alone.
func requestOperations(requests Requests) group {
	h := requestHandlers{requests}
	problems := []int{http.StatusConflict, http.StatusInternalServerError}
	return group{
		operations: []operation{{
			method: http.MethodPost, path: "/api/launch", access: runOfRequest, handle: h.launch,
			id: "launch", summary: "Start what an allowed request is about",
			description: "The first launch consumes the request; later ones are 409.",
			body: &body{required: true, schema: `{
				"type": "object",
				"required": ["RequestId"],
				"properties": {"RequestId": {"type": "string"}}
			}`},
			answer:   answer{status: http.StatusOK, description: "It runs", schema: ref("RequestDone")},
			notFound: codeUnknownRequest, problems: problems, explains: true,
		}, {
			method: http.MethodPost, path: "/api/launch-substitute", access: runOfRequest, handle: h.substitute,
			id: "launchSubstitute", summary: "Start what a redirect rule names in place of what an allowed request is about",
			description: "The service takes the program from the rule. The request is denied; what starts is a request of its own.",
			body: &body{required: true, schema: `{
				"type": "object",
				"required": ["RequestId"],
				"properties": {"RequestId": {"type": "string"}}
			}`},
			answer:   answer{status: http.StatusOK, description: "The other program runs", schema: ref("RequestDone")},
			notFound: codeUnknownRequest, problems: problems, explains: true,
		}, {
			method: http.MethodPost, path: "/api/usersession", access: runOfRequest, handle: h.inSession,
			id: "launchInSession", summary: "Start what an allowed request is about as whoever asked, in their own login session",
			description: "It has the rights of that person and no others. It consumes the request as a launch does; where there is no such session, or another user than an administrator or that person was asked for, that is 409 and the request has failed.",
			body: &body{required: true, schema: `{
				"type": "object",
				"required": ["RequestId"],
				"properties": {
					"RequestId": {"type": "string"},
					"ExecutionType": {
						"type": "string",
						"description": "User: the session that was asked from. UserDesktop: the one that shows windows.",
						"enum": ["User", "UserDesktop"],
						"default": "User"
					}
				}
			}`},
			answer:   answer{status: http.StatusOK, description: "It runs", schema: ref("RequestDone")},
			notFound: codeUnknownRequest, problems: problems, explains: true,
		}, {
			method: http.MethodPost, path: "/api/refuse", access: runOfRequest, handle: h.refuse,
			id: "refuse", summary: "Deny a pending request",
			body: &body{required: true, schema: `{
				"type": "object",
				"required": ["RequestId"],
				"properties": {
					"RequestId": {"type": "string"},
					"Message": {
						"type": "string",
						"description": "What the person is told; control characters are replaced",
						"maxLength": 4096
					}
				}
			}`},
			answer:   answer{status: http.StatusOK, description: "It is denied", schema: ref("RequestDone")},
			notFound: codeUnknownRequest, problems: problems, explains: true,
		}},
		schemas: map[string]schema{"RequestDone": `{
			"type": "object",
			"required": ["RequestId"],
			"properties": {"RequestId": {"type": "string"}},
			"additionalProperties": false
		}`},
	}
}

type requestHandlers struct{ requests Requests }

// requestBody names a request; Message goes with a refusal, ExecutionType with a launch
// in a session.
type requestBody struct {
	RequestID     core.RequestID `json:"RequestId"`
	Message       string         `json:"Message"`
	ExecutionType string         `json:"ExecutionType"`
}

func (h requestHandlers) launch(c *call) (any, error) {
	body, err := readRequest(c)
	if err != nil {
		return nil, err
	}
	// The launch goes on if the task's connection breaks: it is the request's
	// own deadline that ends it, and its outcome goes to the person.
	err = h.requests.Launch(context.WithoutCancel(c.Context()), c.who.Principal, body.RequestID)
	return moved(body.RequestID, err)
}

func (h requestHandlers) inSession(c *call) (any, error) {
	body, err := readRequest(c)
	if err != nil {
		return nil, err
	}
	as := core.AsUser
	switch body.ExecutionType {
	case "", core.AsUser.String():
	case core.AsUserDesktop.String():
		as = core.AsUserDesktop
	default:
		return nil, badBody("/ExecutionType", "found %s, expected User or UserDesktop", fault.Quote(body.ExecutionType))
	}
	// As with launch, it goes on if the task's connection breaks.
	err = h.requests.LaunchInSession(context.WithoutCancel(c.Context()), c.who.Principal, body.RequestID, as)
	return moved(body.RequestID, err)
}

func (h requestHandlers) substitute(c *call) (any, error) {
	body, err := readRequest(c)
	if err != nil {
		return nil, err
	}
	// As with launch, it goes on if the task's connection breaks.
	err = h.requests.Substitute(context.WithoutCancel(c.Context()), c.who.Principal, body.RequestID)
	return moved(body.RequestID, err)
}

func (h requestHandlers) refuse(c *call) (any, error) {
	body, err := readRequest(c)
	if err != nil {
		return nil, err
	}
	if len(body.Message) > maxMessage || !utf8.ValidString(body.Message) {
		return nil, badBody("/Message", "found %d bytes, expected at most %d of UTF-8", len(body.Message), maxMessage)
	}
	return moved(body.RequestID, h.requests.Refuse(c.who.Principal, body.RequestID, wire.Printable(body.Message)))
}

func moved(id core.RequestID, err error) (any, error) {
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", id, err)
	}
	return view.RequestMoved{RequestID: id}, nil
}

// readRequest reads the body and holds it against the request that the run was
// started for: a run of one request cannot move another (decision 25).
func readRequest(c *call) (requestBody, error) {
	var body requestBody
	if err := c.readObject(&body, false); err != nil {
		return body, err
	}
	switch body.RequestID {
	case "":
		return body, badBody("/RequestId", "found nothing, expected the id of a request")
	case c.who.Request:
		return body, nil
	}
	return body, problem(codeNotPermitted, "this job run was started for another request")
}

package api

import (
	"context"
	"errors"
	"net/http"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/view"
	"kpm/core/wire"
	"kpm/launcher/request"
)

// Requests moves elevation requests on behalf of the job run that was started
// for one. launcher.Launcher is one; it checks from again.
type Requests interface {
	// Launch starts what an allowed request is about. Errors wrap
	// request.ErrUnknown, request.ErrConflict or request.ErrNotPermitted.
	Launch(ctx context.Context, from core.Principal, id core.RequestID) error
	// Refuse denies a pending request with a message for the person.
	Refuse(from core.Principal, id core.RequestID, message string) error
}

// maxMessage bounds what a control job may tell the person, in bytes.
const maxMessage = 4 << 10

// requestBody names a request; Message goes with a refusal.
type requestBody struct {
	RequestID core.RequestID `json:"RequestId"`
	Message   string         `json:"Message"`
}

func (s *Server) launch(c *call) (any, error) {
	body, err := c.readRequest()
	if err != nil {
		return nil, err
	}
	// The launch goes on if the task's connection breaks: it is the request's
	// own deadline that ends it, and its outcome goes to the person.
	if err := s.cfg.Requests.Launch(context.WithoutCancel(c.Context()), c.who.Principal, body.RequestID); err != nil {
		return nil, requestProblem(body.RequestID, err)
	}
	return view.RequestMoved{RequestID: body.RequestID}, nil
}

func (s *Server) refuse(c *call) (any, error) {
	body, err := c.readRequest()
	if err != nil {
		return nil, err
	}
	if len(body.Message) > maxMessage || !utf8.ValidString(body.Message) {
		return nil, badBody("/Message", "found %d bytes, expected at most %d of UTF-8", len(body.Message), maxMessage)
	}
	if err := s.cfg.Requests.Refuse(c.who.Principal, body.RequestID, wire.Printable(body.Message)); err != nil {
		return nil, requestProblem(body.RequestID, err)
	}
	return view.RequestMoved{RequestID: body.RequestID}, nil
}

// readRequest reads the body and holds it against the request that the run was
// started for: a run of one request cannot move another (decision 25).
func (c *call) readRequest() (requestBody, error) {
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
	return body, problem(http.StatusForbidden, codeNotPermitted, "this job run was started for another request")
}

func requestProblem(id core.RequestID, err error) *Problem {
	switch {
	case errors.Is(err, request.ErrNotPermitted):
		return problem(http.StatusForbidden, codeNotPermitted, "this job run may not move request %s", id)
	case errors.Is(err, request.ErrUnknown):
		return problem(http.StatusNotFound, codeUnknownRequest, "there is no request %s", id)
	case errors.Is(err, request.ErrConflict):
		return problem(http.StatusConflict, codeConflict, "request %s is past this step: %s", id, wire.Printable(err.Error()))
	}
	// The caller is a job run in service context, whose log is the right place
	// for what went wrong; the launcher has told the person already.
	return problem(http.StatusInternalServerError, codeInternal, "request %s: %s", id, wire.Printable(err.Error()))
}

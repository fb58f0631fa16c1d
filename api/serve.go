package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/core/strictjson"
)

// call is one request on its way through a handler.
type call struct {
	*http.Request
	w      http.ResponseWriter
	who    caller
	path   string            // as the route spells it, so that lists of paths can be compared
	values map[string]string // of the path
	// granted is true when the job file's allow list names this request: the
	// run then acts with the tier that it takes (decision 16).
	granted bool
}

// servePlain answers on plain HTTP: the public pages, redirects, and nothing
// that has a body.
func (s *Server) servePlain(w http.ResponseWriter, r *http.Request) {
	headers(w)
	who, p := s.enter(w, r)
	if p != nil {
		s.refusal(w, r, who, p)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.refusal(w, r, who, problem(http.StatusForbidden, codeHTTPSRequired,
			"plain HTTP serves GET and HEAD only; what this request says has already travelled in clear"))
		return
	}
	if found, values, p := find(s.routes, r.Method, r.URL); p == nil && isPlainRoute(found.pattern) {
		s.answer(&call{Request: r, w: w, who: who, path: found.pattern, values: values}, found)
		return
	}
	port := s.heldHTTPS()
	if port == 0 {
		s.refusal(w, r, who, problem(http.StatusServiceUnavailable, codeUnavailable,
			"HTTPS is not available: its port is held by someone else"))
		return
	}
	// The target is ours, never what Host says (open redirect, rebinding).
	target := url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusPermanentRedirect)
}

// serveFull answers on HTTPS, local sockets and bound connections.
func (s *Server) serveFull(w http.ResponseWriter, r *http.Request) {
	headers(w)
	who, p := s.enter(w, r)
	if p != nil {
		s.refusal(w, r, who, p)
		return
	}
	found, values, p := find(s.routes, r.Method, r.URL)
	if p != nil {
		s.refusal(w, r, who, p)
		return
	}
	c := &call{Request: r, w: w, who: who, path: found.path(values), values: values}
	if p := s.permit(c, found.access); p != nil {
		s.refusal(w, r, who, p)
		return
	}
	s.answer(c, found)
}

func headers(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// enter says who is calling, and makes the checks that come before any routing.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) (caller, *Problem) {
	c := connOf(r)
	who := s.identify(r)
	// A task, plugin or library that makes the service fetch a URL must not
	// thereby speak as root (SSRF against the own API).
	if who.own {
		return who, problem(http.StatusForbidden, codeOwnProcess, "the service takes no requests from itself")
	}
	if who.Kind == core.Public {
		// Whoever it was may be known again on its next connection: a process
		// that shared the socket for a moment may have spoilt this one.
		w.Header().Set("Connection", "close")
	}
	if !who.bound && who.Tier() < core.TierPlugin {
		if wait := s.limiter.take(who.User); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			return who, problem(http.StatusTooManyRequests, codeTooMany, "too many requests by this user: try again in %s", wait.Round(1e6))
		}
	}
	if p := checkHost(r, c.entry); p != nil {
		return who, p
	}
	return who, checkOrigin(r, c.entry)
}

// permit decides whether the caller may use a route at all.
func (s *Server) permit(c *call, a access) *Problem {
	switch {
	case a.jobRun:
		// Launch and answer belong to the run that the service started for
		// that request, and never to what runs as a user (decisions 25, 27).
		if c.who.Kind == core.JobRun && !c.who.InUserSession && c.who.Request != "" {
			return nil
		}
		return problem(http.StatusForbidden, codeNotPermitted, "only the job run that was started for a request may ask for this")
	case a.tier == core.TierPublic:
		return nil
	case c.who.bound:
		if c.granted = s.cfg.Jobs.Allowed(c.who.Principal, c.Method, c.path); c.granted {
			return nil
		}
		return problem(http.StatusForbidden, codeNotPermitted,
			"job %s does not list %s %s as something its Http tasks may ask for", c.who.Name, c.Method, c.path)
	case c.who.Tier() >= a.tier:
		return nil
	case a.own && c.who.Kind == core.Plugin && c.who.Name == c.values["plugin"]:
		return nil
	case a.narrower:
		return c.who.below(core.TierAdmin)
	}
	return c.who.below(a.tier)
}

func (s *Server) answer(c *call, found route) {
	body, err := found.handle(s, c)
	if err != nil {
		var p *Problem
		if !errors.As(err, &p) {
			s.cfg.Log.Error("request", "method", c.Method, "path", c.URL.Path, "caller", c.who.String(), "error", err)
			p = problem(http.StatusInternalServerError, codeInternal, "the service has logged what went wrong")
		}
		s.refusal(c.w, c.Request, c.who, p)
		return
	}
	writeJSON(c.w, jsonType, found.status, body)
}

// refusal answers with a problem. Those that are about authority are logged.
func (s *Server) refusal(w http.ResponseWriter, r *http.Request, who caller, p *Problem) {
	if p.Status == http.StatusForbidden {
		s.cfg.Log.Info("refused", "method", r.Method, "path", r.URL.Path, "caller", who.String(), "code", string(p.Code))
	}
	if p.allow != nil {
		w.Header().Set("Allow", strings.Join(p.allow, ", "))
	}
	p.write(w)
}

func tooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, codeTooLarge, "a body is at most %d bytes", maxBody)
}

// readObject reads the body as one JSON object into into. An empty body leaves
// it alone if optional.
func (c *call) readObject(into any, optional bool) error {
	data, err := io.ReadAll(http.MaxBytesReader(c.w, c.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return tooLarge()
	case err != nil:
		return badBody("", "the body ended early")
	case len(data) == 0 && optional:
		return nil
	}
	body, err := strictjson.Parse(data, maxBody)
	if err == nil {
		err = body.Check(maxDepth)
	}
	if err == nil {
		err = body.Decode(into)
	}
	if err != nil {
		return jsonProblem(err)
	}
	return nil
}

// maxDepth bounds how deep objects and lists nest in a body.
const maxDepth = 32

// jsonProblem points at the fault that strictjson found.
func jsonProblem(err error) *Problem {
	var refused *strictjson.Error
	if !errors.As(err, &refused) || refused.Problem == strictjson.NotJSON {
		return badBody("", "not JSON: %v", errors.Unwrap(err))
	}
	f := refused.Fault("")
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return badBody(f.Pointer(), "found %s, expected %s", kind.Value, jsonName(kind.Type.Kind().String()))
	}
	return badBody(f.Pointer(), "%s, expected %s", f.Found, f.Expected)
}

func jsonName(goKind string) string {
	switch goKind {
	case "map", "struct":
		return "an object"
	case "string":
		return "a string"
	}
	return fmt.Sprintf("a %s", goKind)
}

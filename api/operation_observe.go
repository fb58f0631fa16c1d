package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kpm/core"
	"kpm/core/metrics"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// Observed is what administrators, and what watches machines for them, may see of
// the service.
type Observed interface {
	// Metrics returns a page of package metrics.
	Metrics() []byte
	Overview() view.Overview
	// Audit returns a page of the journal. Errors may be of kind Invalid.
	Audit(context.Context, journal.Query) (journal.Found, error)
}

// ndjson is JSON, a value a line.
const ndjson = "application/x-ndjson"

// text is what handle returns to answer with something that is not one JSON value:
// the operation's content type says what.
type text struct {
	body []byte
	next string // where the page after this one is; empty if there is none
}

func observeOperations(observed Observed) group {
	h := observeHandlers{observed}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/metrics", access: adminTier,
			handle: func(*call) (any, error) { return text{body: observed.Metrics()}, nil },
			id:     "metrics", summary: "Counters and latencies, as Prometheus reads them",
			description: "Text exposition format 0.0.4. No label names a user or a path.",
			answer:      answer{status: http.StatusOK, description: "The metrics", schema: `{"type": "string"}`, contentType: metrics.ContentType},
		}, {
			method: http.MethodGet, path: "/api/system/overview", access: adminTier,
			handle: func(*call) (any, error) { return observed.Overview(), nil },
			id:     "overview", summary: "Version, ports, certificate and journal",
			answer: answer{status: http.StatusOK, description: "What an administrator looks at first", schema: ref("Overview")},
		}, {
			method: http.MethodGet, path: "/api/audit", access: adminTier, handle: h.audit,
			id: "audit", summary: "Records of the journal",
			description: "One record a line, oldest first, as docs/journal.md has them; one that is about a request has the user, target and program of its first, so that it can be read alone. " +
				"If there are more, `Link` has the address of the next page, which may be empty. The chain is not verified: `KeeperAdminCLI audit verify` does that.",
			answer: answer{status: http.StatusOK, description: "A page", schema: `{"type": "string"}`, contentType: ndjson},
			query: []queryParameter{
				{"request", "of this request", `{"type": "string"}`},
				{"user", "of requests that this user has made: a name or an id", `{"type": "string"}`},
				{"outcome", "that say that this became of a request", `{"enum": ["launched", "ended", "denied", "expired", "failed", "repeated"]}`},
				{"since", "of this time or later", `{"type": "string", "format": "date-time"}`},
				{"until", "of before this time", `{"type": "string", "format": "date-time"}`},
				{"after", "beyond the record of this seq", `{"type": "integer", "minimum": 0}`},
				{"limit", "how many at most; 1000 if it is left out", `{"type": "integer", "minimum": 1, "maximum": 10000}`},
			},
			problems: []int{http.StatusBadRequest, http.StatusInternalServerError},
		}},
		schemas: map[string]schema{"Overview": overviewSchema},
	}
}

type observeHandlers struct{ observed Observed }

func (h observeHandlers) audit(c *call) (any, error) {
	asked := c.URL.Query()
	q, err := auditQuery(asked)
	if err != nil {
		return nil, err
	}
	found, err := h.observed.Audit(c.Context(), q)
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for _, r := range found.Records {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		lines.Write(append(line, '\n'))
	}
	page := text{body: lines.Bytes()}
	if found.Next > 0 {
		asked.Set("after", strconv.FormatUint(found.Next, 10))
		page.next = c.path + "?" + asked.Encode()
	}
	return page, nil
}

func auditQuery(asked url.Values) (journal.Query, error) {
	var q journal.Query
	for name, values := range asked {
		var err error
		value := values[len(values)-1]
		switch name {
		case "request":
			q.Request = core.RequestID(value)
		case "user":
			q.User = value
		case "outcome":
			q.Outcome = journal.Type(value)
		case "since":
			q.Since, err = time.Parse(time.RFC3339, value)
		case "until":
			q.Until, err = time.Parse(time.RFC3339, value)
		case "after":
			q.After, err = strconv.ParseUint(value, 10, 64)
		case "limit":
			if q.Limit, err = strconv.Atoi(value); q.Limit < 1 && err == nil {
				err = strconv.ErrRange
			}
		default:
			return q, problem(codeBadRequest, "there is no query parameter %q", name)
		}
		if err != nil {
			return q, problem(codeBadRequest, "%s is %q, which it cannot be", name, value)
		}
	}
	return q, nil
}

const overviewSchema = `{
	"type": "object",
	"required": ["version", "root", "processId", "startedAt", "uptimeSeconds", "httpPort", "httpsPort", "mqttPort", "openRequests", "journal", "executions"],
	"properties": {
		"version": {"type": "string"},
		"root": {"type": "string"},
		"processId": {"type": "integer"},
		"startedAt": {"type": "string", "format": "date-time"},
		"uptimeSeconds": {"type": "number", "minimum": 0},
		"httpPort": {"type": "integer", "description": "0 while another process has it"},
		"httpsPort": {"type": "integer", "description": "0 while another process has it"},
		"mqttPort": {"type": "integer", "description": "0 while another process has it"},
		"openRequests": {"type": "integer", "minimum": 0},
		"executions": {
			"type": "object",
			"required": ["on", "needed", "running"],
			"description": "whether programs are stopped before they run",
			"properties": {
				"on": {"type": "boolean", "description": "Interception:Executions"},
				"needed": {"type": "boolean", "description": "policies in force say which programs may run, or what commands may start"},
				"running": {"type": "boolean"},
				"fault": {"type": "string", "description": "why it is on and does not run"}
			},
			"additionalProperties": false
		},
		"certificate": {
			"type": "object",
			"required": ["subject", "issuer", "notBefore", "notAfter", "sha256"],
			"properties": {
				"subject": {"type": "string"},
				"issuer": {"type": "string"},
				"notBefore": {"type": "string", "format": "date-time"},
				"notAfter": {"type": "string", "format": "date-time"},
				"sha256": {"type": "string"}
			},
			"additionalProperties": false
		},
		"journal": {
			"type": "object",
			"required": ["first", "last", "segments", "writable"],
			"properties": {
				"first": {"type": "integer", "description": "the oldest record kept"},
				"last": {"type": "integer"},
				"segments": {"type": "integer"},
				"writable": {"type": "boolean"},
				"fault": {"type": "string"},
				"signed": {"type": "integer", "description": "the last record that a checkpoint since the start covers"},
				"signedAt": {"type": "string", "format": "date-time"}
			},
			"additionalProperties": false
		}
	},
	"additionalProperties": false
}`

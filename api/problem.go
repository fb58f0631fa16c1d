package api

import (
	"encoding/json"
	"fmt"
	"net/http"

	"kpm/core"
)

// code is the stable name of a problem (decision 13). openapi.json lists all
// of them; clients may compare them, never the texts.
type code string

const (
	codeBadRequest        code = "bad-request"                 // 400: the body is not what the endpoint takes
	codeForeignHost       code = "foreign-host"                // 403: Host is not a loopback name
	codeForeignOrigin     code = "foreign-origin"              // 403: a page of another origin sent this
	codeOwnProcess        code = "own-process"                 // 403: the service does not call itself
	codeHTTPSRequired     code = "https-required"              // 403: a method that plain HTTP does not take
	codeTierTooLow        code = "tier-too-low"                // 403: the caller's tier does not reach
	codeClientCertificate code = "client-certificate-required" // 403: an administrator without a client certificate
	codeSignedProgram     code = "signed-program-required"     // 403: an administrator whose program nobody has signed
	codeNotPermitted      code = "not-permitted"               // 403: not this caller's to ask for
	codeOwnEventsOnly     code = "own-events-only"             // 403: the job starts from its own events only
	codeNotFound          code = "not-found"                   // 404: no such path
	codeUnknownPlugin     code = "unknown-plugin"              // 404
	codeUnknownSetting    code = "unknown-setting"             // 404
	codeUnknownJob        code = "unknown-job"                 // 404
	codeUnknownRequest    code = "unknown-request"             // 404
	codeMethod            code = "method-not-allowed"          // 405
	codeConflict          code = "conflict"                    // 409: not in the present state
	codeTooLarge          code = "too-large"                   // 413
	codeTooMany           code = "too-many-requests"           // 429
	codeInternal          code = "internal"                    // 500
	codeUnavailable       code = "unavailable"                 // 503
)

// Problem is an RFC 9457 problem details object. Its type is about:blank: the
// code says more than a URL would.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   code   `json:"code"`
	// RequiredTier and CallerTier are set with tier-too-low,
	// client-certificate-required and signed-program-required.
	RequiredTier string `json:"requiredTier,omitempty"`
	CallerTier   string `json:"callerTier,omitempty"`
	// Errors points at each fault of a body (RFC 6901 pointers).
	Errors []Fault `json:"errors,omitempty"`

	allow []string // the methods of a 405
}

// Fault is one thing wrong with a request body.
type Fault struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Error makes a Problem an error, for handlers and logs.
func (p *Problem) Error() string { return fmt.Sprintf("%d %s: %s", p.Status, p.Code, p.Detail) }

func problem(status int, c code, format string, args ...any) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: c, Detail: fmt.Sprintf(format, args...)}
}

func tierTooLow(required, actual core.Tier) *Problem {
	p := problem(http.StatusForbidden, codeTierTooLow,
		"this needs tier %s; the caller was recognised as %s", required, actual)
	p.RequiredTier, p.CallerTier = required.String(), actual.String()
	return p
}

func badBody(pointer, format string, args ...any) *Problem {
	p := problem(http.StatusBadRequest, codeBadRequest, "the body is not what this endpoint takes")
	p.Errors = []Fault{{Pointer: pointer, Detail: fmt.Sprintf(format, args...)}}
	return p
}

func writeJSON(w http.ResponseWriter, contentType string, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil { // our own types; only a programming error gets here
		status, contentType = http.StatusInternalServerError, problemType
		data = []byte(`{"title":"Internal Server Error","status":500,"detail":"the answer could not be encoded","code":"internal"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone if this fails
}

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

func (p *Problem) write(w http.ResponseWriter) { writeJSON(w, problemType, p.Status, p) }

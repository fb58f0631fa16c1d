package api

import (
	"net/http"

	"kpm/core"
)

// code is the stable name of a problem (decision 13). openapi.json lists all
// of them; clients may compare them, never the texts.
type code string

const (
	codeBadRequest        code = "bad-request"
	codeForeignHost       code = "foreign-host"
	codeForeignOrigin     code = "foreign-origin"
	codeOwnProcess        code = "own-process"
	codeTierTooLow        code = "tier-too-low"
	codeClientCertificate code = "client-certificate-required"
	codeSignedProgram     code = "signed-program-required"
	codeNotPermitted      code = "not-permitted"
	codeOwnEventsOnly     code = "own-events-only"
	codeNotFound          code = "not-found"
	codeUnknownPlugin     code = "unknown-plugin"
	codeUnknownSetting    code = "unknown-setting"
	codeUnknownJob        code = "unknown-job"
	codeUnknownRun        code = "unknown-run"
	codeUnknownRequest    code = "unknown-request"
	codeUnknownGrant      code = "unknown-grant"
	codeUnknownUser       code = "unknown-user"
	codeUnknownApproval   code = "unknown-approval"
	codeMethod            code = "method-not-allowed"
	codeConflict          code = "conflict"
	codeTooLarge          code = "too-large"
	codeMediaType         code = "unsupported-media-type"
	codeTooMany           code = "too-many-requests"
	codeMalformed         code = "malformed-request"
	codeInternal          code = "internal"
	codeUnsupported       code = "unsupported"
	codeUnavailable       code = "unavailable"
)

// codes says of each code with which status it goes, and what it means.
var codes = []struct {
	code    code
	status  int
	meaning string
}{
	{codeBadRequest, http.StatusBadRequest, "the body is not what the endpoint takes; errors points at each fault"},
	{codeMalformed, http.StatusBadRequest, "this is not HTTP as it is served here; the status may be another one"},
	{codeForeignHost, http.StatusForbidden, "Host is not a loopback name of this listener"},
	{codeForeignOrigin, http.StatusForbidden, "a page of another origin sent this"},
	{codeOwnProcess, http.StatusForbidden, "the service takes no requests from itself"},
	{codeTierTooLow, http.StatusForbidden, "the caller's tier does not reach; requiredTier and callerTier name both"},
	{codeClientCertificate, http.StatusForbidden, "the caller is an administrator, and this machine asks administrators for a client certificate, over HTTPS; detail says what is wrong with theirs"},
	{codeSignedProgram, http.StatusForbidden, "the caller is an administrator, and this machine asks for a program that a trusted signer has signed; detail says what is missing"},
	{codeNotPermitted, http.StatusForbidden, "not this caller's to ask for"},
	{codeOwnEventsOnly, http.StatusForbidden, "the job starts from its own events only"},
	{codeNotFound, http.StatusNotFound, "no such path"},
	{codeUnknownPlugin, http.StatusNotFound, "no such plugin"},
	{codeUnknownSetting, http.StatusNotFound, "no such setting"},
	{codeUnknownJob, http.StatusNotFound, "no such job"},
	{codeUnknownRun, http.StatusNotFound, "no such run of a job, or no longer"},
	{codeUnknownRequest, http.StatusNotFound, "no such request"},
	{codeUnknownGrant, http.StatusNotFound, "no such grant, or it is somebody else's"},
	{codeUnknownUser, http.StatusNotFound, "no such user, or nobody who is enrolled"},
	{codeUnknownApproval, http.StatusNotFound, "no such approval, or none of the caller's to know of"},
	{codeMethod, http.StatusMethodNotAllowed, "the path takes other methods; Allow names them"},
	{codeConflict, http.StatusConflict, "not in the present state"},
	{codeTooLarge, http.StatusRequestEntityTooLarge, "the body is longer than 1 MiB"},
	{codeMediaType, http.StatusUnsupportedMediaType, "Content-Type is not application/json"},
	{codeTooMany, http.StatusTooManyRequests, "this user asks too often; Retry-After says when to come back"},
	{codeInternal, http.StatusInternalServerError, "the service has logged what went wrong"},
	{codeUnsupported, http.StatusNotImplemented, "not on this operating system"},
	{codeUnavailable, http.StatusServiceUnavailable, "not at this time: detail says why"},
}

// kinds says by which code an error of each kind is answered. An operation has
// a code of its own for what it does not find.
var kinds = map[core.ErrorKind]code{
	core.Internal:     codeInternal,
	core.Invalid:      codeBadRequest,
	core.NotFound:     codeNotFound,
	core.NotPermitted: codeNotPermitted,
	core.Conflict:     codeConflict,
	core.TooMany:      codeTooMany,
	core.TooLarge:     codeTooLarge,
	core.Unavailable:  codeUnavailable,
	core.Unsupported:  codeUnsupported,
}

// status returns the status that goes with c.
func (c code) status() int {
	for _, row := range codes {
		if row.code == c {
			return row.status
		}
	}
	return http.StatusInternalServerError // a test knows that every code has a row
}

package api

import (
	"fmt"
	"net/http"
	"strings"
)

const description = "The API of the service on this machine: HTTPS on 127.0.0.1 and ::1, the same as plain HTTP on the " +
	"local socket run/api.sock, and three public pages on plain HTTP, which redirects everything else, " +
	"whatever the method, with 308.\n\n" +
	"Nobody logs in. Who a caller is comes from the kernel: the user of the socket, the processes that " +
	"hold it, and whether the service started them. `x-tier` of each operation says who may use it: " +
	"`Public` anyone on the machine; `User` every user with an account on it; `Plugin` a plugin or job task that the service started in service " +
	"context, or an administrator; `Plugin or own` also a plugin in a user's session for what is its " +
	"own, and every user where the broker is; `Admin or own plugin` also a plugin in service context for what is its own; `Admin` root or an elevated administrator, who on some machines must also show a client " +
	"certificate over HTTPS (`Settings:ClientCertificateAuthority`) or run a signed program " +
	"(`Settings:RequireSignedAdmin`); `Admin or allowPluginTrigger` also tier Plugin for jobs that say " +
	"so; `JobRun` the job run that the service started for the very request. A job's Http task has the " +
	"rights of its run's own request and what its job file's allow list names, and no tier.\n\n" +
	"Host must be localhost, 127.0.0.1 or [::1] with the port of the listener or none (`keeper` on the " +
	"local socket). Requests with a foreign Origin or Sec-Fetch-Site are refused. Literal path segments " +
	"match in any case; HEAD is served wherever GET is. A body is at most 1 MiB; a user may make 100 " +
	"requests a second, 200 at once, over 32 connections.\n\n" +
	"Errors are RFC 9457 problem details; `code` is stable, texts are not. A wrong tier is 403 and " +
	"names both tiers, and so is an administrator who lacks a client certificate or a signed program; " +
	"401 is not used."

// responses are what problems of each status look like in the document.
var responses = []struct {
	status            int
	name, description string
	headers           schema // that come with it; empty if none
}{
	{http.StatusBadRequest, "BadRequest", "The body is not what the operation takes", ""},
	{http.StatusForbidden, "Forbidden", "The caller may not do this, or not this way", ""},
	{http.StatusNotFound, "NotFound", "There is no such thing", ""},
	{http.StatusMethodNotAllowed, "MethodNotAllowed", "The path takes other methods", `{"Allow": {"required": true, "schema": {"type": "string"}}}`},
	{http.StatusConflict, "Conflict", "Not in the present state", ""},
	{http.StatusRequestEntityTooLarge, "TooLarge", "The body is longer than 1 MiB", ""},
	{http.StatusUnsupportedMediaType, "MediaType", "The body is not called JSON", ""},
	{http.StatusTooManyRequests, "TooMany", "This user asks too often", `{"Retry-After": {"required": true, "schema": {"type": "integer", "minimum": 1}}}`},
	{http.StatusInternalServerError, "Internal", "Something broke in the service", ""},
	{http.StatusNotImplemented, "Unsupported", "Not on this operating system", ""},
	{http.StatusServiceUnavailable, "Unavailable", "Not at this time", ""},
}

// responseName returns the name of the response for a status.
func responseName(status int) (string, error) {
	for _, r := range responses {
		if r.status == status {
			return r.name, nil
		}
	}
	return "", fmt.Errorf("status %d has no response", status)
}

// problemSchema is a schema of any problem, tierSchema of the tiers in it.
func problemSchema() schema {
	var names, meanings []string
	for _, row := range codes {
		names = append(names, string(row.code))
		meanings = append(meanings, fmt.Sprintf("- `%s`: %s", row.code, row.meaning))
	}
	return schema(fmt.Sprintf(`{
		"type": "object",
		"required": ["title", "status", "detail", "code"],
		"properties": {
			"title": {"type": "string"},
			"status": {"type": "integer", "minimum": 400, "maximum": 599},
			"detail": {"type": "string"},
			"code": {"type": "string", "enum": %s, "description": %s},
			"requiredTier": {"$ref": "#/components/schemas/Tier"},
			"callerTier": {"$ref": "#/components/schemas/Tier"},
			"errors": {
				"type": "array",
				"items": {
					"type": "object",
					"required": ["pointer", "detail"],
					"properties": {
						"pointer": {"type": "string", "description": "RFC 6901; empty for the whole body"},
						"detail": {"type": "string"}
					},
					"additionalProperties": false
				}
			}
		}
	}`, encoded(names), encoded(strings.Join(meanings, "\n"))))
}

const tierSchema schema = `{"type": "string", "enum": ["Public", "User", "Plugin", "Admin"]}`

package api

import (
	"context"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Factors are the second factors of people. Errors are of kind NotFound, Conflict or
// Unavailable and told to the caller.
type Factors interface {
	// List returns who is enrolled, without anything secret.
	List() ([]view.Factor, error)
	// Enroll returns the secret, this once. Without replace nobody is enrolled
	// who is already.
	Enroll(ctx context.Context, by core.Principal, user string, replace bool) (view.Enrollment, error)
	Remove(by core.Principal, user string) error
	// Ticket lets a person enrol themself, once, and Redeem does: it enrols
	// whoever asks, or is of kind NotPermitted.
	Ticket(by core.Principal, user string, replace bool) (view.Ticket, error)
	Redeem(ctx context.Context, who core.Principal, ticket string) (view.Enrollment, error)
	// Login has whoever asks log in again, one question and answer after the other,
	// and gives them a ticket at the end.
	Login(ctx context.Context, who core.Principal, answer view.LoginAnswer) (view.Login, error)
}

// factorOperations enrol people, for administrators. A secret is in one answer, and
// never in a request or a log.
func factorOperations(factors Factors) group {
	f := factorHandlers{factors}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/Mfa", access: adminTier, handle: f.list,
			id: "factors", summary: "Who has a second factor",
			description: "Nothing secret is in it.",
			answer:      answer{status: http.StatusOK, description: "Each person who is enrolled", schema: listOf("Factor")},
			problems:    []int{http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/Mfa/{user}", access: adminTier, handle: f.enroll,
			id: "enrollFactor", summary: "Enrol a person for time-based codes (RFC 6238)",
			description: "The answer has the secret and ten recovery codes. Neither is shown again.",
			body:        &body{schema: `{"type": "object", "properties": {"replace": {"type": "boolean", "description": "end what the person has now"}}}`},
			answer:      answer{status: http.StatusOK, description: "What the person needs", schema: ref("Enrollment")},
			notFound:    codeUnknownUser, problems: []int{http.StatusConflict, http.StatusServiceUnavailable},
		}, {
			method: http.MethodDelete, path: "/api/Mfa/{user}", access: adminTier, handle: f.remove,
			id: "removeFactor", summary: "End the second factor of a person",
			answer:   answer{status: http.StatusOK, description: "Whose it was", schema: ref("FactorRemoved")},
			notFound: codeUnknownUser, problems: []int{http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/Mfa/{user}/ticket", access: adminTier, handle: f.ticket,
			id: "ticketForFactor", summary: "Let a person enrol themself, once, within an hour",
			description: "It takes the place of one that the person has not used. It is lost when the service is restarted.",
			body:        &body{schema: `{"type": "object", "properties": {"replace": {"type": "boolean", "description": "it may end what the person has now"}}}`},
			answer:      answer{status: http.StatusOK, description: "What the person is to be handed", schema: ref("Ticket")},
			notFound:    codeUnknownUser, problems: []int{http.StatusConflict, http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/Mfa", access: userTier, handle: f.redeem,
			id: "redeemTicket", summary: "Enrol oneself, with a ticket of an administrator's",
			description: "Who asks is known from the kernel: a ticket is one person's, and of no use to another.",
			body:        &body{required: true, schema: `{"type": "object", "required": ["ticket"], "properties": {"ticket": {"type": "string"}}}`},
			answer:      answer{status: http.StatusOK, description: "What the person needs", schema: ref("Enrollment")},
			problems:    []int{http.StatusConflict, http.StatusServiceUnavailable},
		}, {
			method: http.MethodPost, path: "/api/Mfa/login", access: userTier, handle: f.login,
			id: "logInForTicket", summary: "Log in again, for a ticket with which to enrol oneself",
			description: "Without an id it begins, and ends what the caller has begun before. The answer is the next question of the machine's own check of logins (PAM), or the ticket. Five wrong answers in a row lock the person out. Whoever has a second factor is given no ticket: an administrator can give one.",
			body:        &body{schema: `{"type": "object", "properties": {"id": {"type": "string"}, "answer": {"type": "string"}}}`},
			answer:      answer{status: http.StatusOK, description: "The next question, or the ticket", schema: ref("Login")},
			notFound:    codeNotFound, problems: []int{http.StatusConflict, http.StatusTooManyRequests, http.StatusServiceUnavailable},
		}},
		parameters: map[string]parameter{"user": {"A user's name, or, to remove a factor, the user id", 256}},
		schemas: map[string]schema{
			"Factor": `{
				"type": "object",
				"required": ["user", "userId", "kind", "at", "by", "recoveryCodes", "lockedSeconds"],
				"properties": {
					"user": {"type": "string"},
					"userId": {"type": "string"},
					"kind": {"type": "string", "enum": ["totp"]},
					"at": {"type": "string", "format": "date-time"},
					"by": {"type": "string", "description": "who has enrolled the person"},
					"recoveryCodes": {"type": "integer", "description": "how many are left"},
					"lockedSeconds": {"type": "integer", "description": "for how long no code is looked at; 0 if codes are"}
				},
				"additionalProperties": false
			}`,
			"Enrollment": `{
				"type": "object",
				"required": ["user", "userId", "uri", "secret", "recoveryCodes"],
				"properties": {
					"user": {"type": "string"},
					"userId": {"type": "string"},
					"uri": {"type": "string", "description": "otpauth://totp/..., for a QR code"},
					"secret": {"type": "string", "description": "base32"},
					"recoveryCodes": {"type": "array", "items": {"type": "string"}}
				},
				"additionalProperties": false
			}`,
			"Ticket": `{
				"type": "object",
				"required": ["user", "userId", "ticket", "until"],
				"properties": {
					"user": {"type": "string"},
					"userId": {"type": "string"},
					"ticket": {"type": "string"},
					"until": {"type": "string", "format": "date-time"}
				},
				"additionalProperties": false
			}`,
			"Login": `{
				"type": "object",
				"required": ["id", "secret"],
				"properties": {
					"id": {"type": "string", "description": "what the answer names"},
					"told": {"type": "array", "items": {"type": "string"}},
					"question": {"type": "string"},
					"secret": {"type": "boolean", "description": "the answer is not to be shown"},
					"ticket": {"$ref": "#/components/schemas/Ticket"}
				},
				"additionalProperties": false
			}`,
			"FactorRemoved": `{
				"type": "object",
				"required": ["user"],
				"properties": {"user": {"type": "string"}},
				"additionalProperties": false
			}`,
		},
	}
}

type factorHandlers struct{ factors Factors }

func (f factorHandlers) list(*call) (any, error) { return f.factors.List() }

func (f factorHandlers) enroll(c *call) (any, error) {
	replace, err := c.readReplace()
	if err != nil {
		return nil, err
	}
	return f.factors.Enroll(c.Context(), c.who.Principal, c.values["user"], replace)
}

func (f factorHandlers) ticket(c *call) (any, error) {
	replace, err := c.readReplace()
	if err != nil {
		return nil, err
	}
	return f.factors.Ticket(c.who.Principal, c.values["user"], replace)
}

// readReplace reads the body {"replace": true}, which may be left out.
func (c *call) readReplace() (bool, error) {
	var wanted struct {
		Replace bool `json:"replace"`
	}
	err := c.readObject(&wanted, true)
	return wanted.Replace, err
}

// redeem is for people: a plugin or a job has no factor.
func (f factorHandlers) redeem(c *call) (any, error) {
	var given struct {
		Ticket string `json:"ticket"`
	}
	if err := c.readObject(&given, false); err != nil {
		return nil, err
	}
	if c.who.Kind != core.User {
		return nil, problem(codeNotPermitted, "a ticket is for a person")
	}
	return f.factors.Redeem(c.Context(), c.who.Principal, given.Ticket)
}

// login is for people as well.
func (f factorHandlers) login(c *call) (any, error) {
	var given view.LoginAnswer
	if err := c.readObject(&given, true); err != nil {
		return nil, err
	}
	if c.who.Kind != core.User {
		return nil, problem(codeNotPermitted, "logging in is for a person")
	}
	return f.factors.Login(c.Context(), c.who.Principal, given)
}

func (f factorHandlers) remove(c *call) (any, error) {
	if err := f.factors.Remove(c.who.Principal, c.values["user"]); err != nil {
		return nil, err
	}
	return view.FactorRemoved{User: c.values["user"]}, nil
}

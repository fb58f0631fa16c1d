package api

import (
	"net/http"
	"time"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/view"
)

// Prompts are what people are asked at another terminal than a request's. Who may be
// asked is its affair. Errors may be of kind NotPermitted, TooMany or NotFound.
type Prompts interface {
	// Listen returns what whoever is at the other end is asked from now on, until stop is
	// called, which declines what they are being asked.
	Listen(who core.Principal, peer core.Peer) (said <-chan view.Prompt, stop func(), err error)
	// Answer hands over what they have said to a question that they were asked.
	Answer(who core.Principal, peer core.Peer, id string, a dialog.Answer) error
}

func promptOperations(prompts Prompts) group {
	h := promptHandlers{prompts}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/prompts", access: userTier, handle: h.listen,
			id: "prompts", summary: "What requests of the caller's that have neither terminal nor desktop ask them",
			description: "Server-sent events, from now on; each is a Prompt, and its name the prompt's kind: listening, question, or over if one need not be answered any more. The caller is a process with a controlling terminal of its own, and neither a coding agent's nor one that belongs to whoever has made the request. It has one question at a time; if it goes, it has declined that. Where nothing happens a comment is sent every 15 seconds.",
			answer:      answer{status: http.StatusOK, description: "Events until the caller goes", schema: `{"type": "string"}`, contentType: eventStream},
			problems:    []int{http.StatusTooManyRequests},
		}, {
			method: http.MethodPost, path: "/api/prompts/{promptId}", access: userTier, handle: h.answer,
			id: "answerPrompt", summary: "Answer what one was asked",
			description: "It counts from the process that was asked alone. What is given is verified as if it had been typed where the request was made.",
			body: &body{required: true, schema: `{
				"type": "object",
				"required": ["outcome"],
				"properties": {
					"outcome": {"type": "string", "enum": ["given", "declined", "unavailable"]},
					"text": {"type": "string", "maxLength": 4096, "description": "what was given"}
				}
			}`},
			answer: answer{status: http.StatusOK, description: "Which question was answered", schema: `{
				"type": "object",
				"required": ["id"],
				"properties": {"id": {"type": "string"}},
				"additionalProperties": false
			}`},
			notFound: codeNotFound,
		}},
		parameters: map[string]parameter{"promptId": {"A question's id", 64}},
	}
}

// maxPromptAnswer bounds what is given, in bytes.
const maxPromptAnswer = 4096

type promptHandlers struct{ prompts Prompts }

func (h promptHandlers) listen(c *call) (any, error) {
	said, stop, err := h.prompts.Listen(c.who.Principal, c.peer())
	if err != nil {
		return nil, err
	}
	return stream(func(send func(name string, data any) error, alive <-chan time.Time, closing <-chan struct{}) error {
		defer stop()
		if err := send(view.PromptListening, view.Prompt{Kind: view.PromptListening}); err != nil {
			return err
		}
		return relay(c, said, func(p view.Prompt) string { return p.Kind }, send, alive, closing)
	}), nil
}

func (h promptHandlers) answer(c *call) (any, error) {
	var given dialog.Answer
	if err := c.readObject(&given, false); err != nil {
		return nil, err
	}
	if len(given.Text) > maxPromptAnswer {
		return nil, problem(codeBadRequest, "text: found %d bytes, expected at most %d", len(given.Text), maxPromptAnswer)
	}
	switch given.Outcome {
	case dialog.Given, dialog.Declined, dialog.Unavailable:
	default:
		return nil, problem(codeBadRequest, "outcome: found %q, expected given, declined or unavailable", given.Outcome)
	}
	id := c.values["promptId"]
	if err := h.prompts.Answer(c.who.Principal, c.peer(), id, given); err != nil {
		return nil, err
	}
	return view.PromptAnswered{ID: id}, nil
}

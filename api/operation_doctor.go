package api

import (
	"context"
	"net/http"

	"kpm/core/view"
)

// Doctor says what is wrong with plugins, and what is refused to whom.
type Doctor interface {
	// Check holds a plugin against the published checklist. The error is of kind
	// NotFound.
	Check(ctx context.Context, id string) ([]view.Check, error)
	// CheckFile does so for a file that is not installed, as far as that can be
	// seen. The error is about body.
	CheckFile(ctx context.Context, id string, body []byte) ([]view.Check, error)
	// Diagnose recognises the published troubleshooting table.
	Diagnose(ctx context.Context) []view.Diagnosis
	Topics() view.Topics
}

func doctorOperations(doctor Doctor) group {
	check := operation{
		method: http.MethodGet, path: "/api/plugins/{name}/check", access: adminTier,
		handle: func(c *call) (any, error) {
			checks, err := doctor.Check(c.Context(), c.values["name"])
			if err != nil {
				return nil, err
			}
			return checks, nil
		},
		id: "checkPlugin", summary: "Hold a plugin against the published checklist",
		answer:   answer{status: http.StatusOK, description: "Each item", schema: listOf("Check")},
		notFound: codeUnknownPlugin,
	}
	file := check
	file.method, file.id, file.summary = http.MethodPost, "checkPluginFile", "Hold a plugin file that is not installed against the published checklist"
	file.body, file.notFound = &body{required: true, schema: `{"type": "object"}`}, ""
	file.handle = func(c *call) (any, error) {
		value, err := c.readJSON()
		if err != nil {
			return nil, err
		}
		checks, err := doctor.CheckFile(c.Context(), c.values["name"], value.Raw())
		if err != nil {
			return nil, err
		}
		return checks, nil
	}
	return group{
		operations: []operation{check, file, {
			method: http.MethodGet, path: "/api/doctor", access: adminTier,
			handle: func(c *call) (any, error) { return doctor.Diagnose(c.Context()), nil },
			id:     "diagnose", summary: "What of the published troubleshooting table there is on this machine",
			answer: answer{status: http.StatusOK, description: "Each row that is recognised", schema: listOf("Diagnosis")},
		}, {
			method: http.MethodGet, path: "/api/topics", access: adminTier,
			handle: func(*call) (any, error) { return doctor.Topics(), nil },
			id:     "topics", summary: "Who may say and hear what on the bus, and what was refused lately",
			answer: answer{status: http.StatusOK, description: "Speakers, refusals, and what was dropped", schema: ref("Topics")},
		}},
		schemas: map[string]schema{
			"Check": `{
				"type": "object",
				"required": ["item", "title", "outcome", "found"],
				"properties": {
					"item": {"type": "integer", "minimum": 1, "description": "its number in the checklist"},
					"title": {"type": "string"},
					"outcome": {"type": "string", "enum": ["pass", "fail", "unknown"]},
					"found": {"type": "string"},
					"remedy": {"type": "string", "description": "what to do, unless it passes"}
				},
				"additionalProperties": false
			}`,
			"Diagnosis": `{
				"type": "object",
				"required": ["symptom", "found", "remedy"],
				"properties": {
					"symptom": {"type": "string", "description": "as the table has it"},
					"plugin": {"type": "string"},
					"found": {"type": "string"},
					"remedy": {"type": "string"}
				},
				"additionalProperties": false
			}`,
			"Topics": `{
				"type": "object",
				"required": ["speakers", "refusals", "dropped"],
				"properties": {
					"speakers": {"type": "array", "items": {
						"type": "object",
						"required": ["name", "kind", "publish", "subscribe", "connections", "subscribed", "queued", "keeps", "kept", "keptDropped"],
						"properties": {
							"name": {"type": "string"},
							"kind": {"type": "string", "enum": ["plugin", "job"]},
							"topic": {"type": "string"},
							"publish": {"type": "array", "items": {"type": "string"}},
							"subscribe": {"type": "array", "items": {"type": "string"}},
							"connections": {"type": "integer", "minimum": 0},
							"subscribed": {"type": "array", "items": {"type": "string"}},
							"queued": {"type": "integer", "minimum": 0},
							"keeps": {"type": "boolean"},
							"kept": {"type": "integer", "minimum": 0},
							"keptDropped": {"type": "integer", "minimum": 0}
						},
						"additionalProperties": false
					}},
					"refusals": {"type": "array", "items": {
						"type": "object",
						"required": ["principal", "operation", "reason", "count", "last"],
						"properties": {
							"principal": {"type": "string"},
							"client": {"type": "string"},
							"operation": {"type": "string"},
							"topic": {"type": "string"},
							"reason": {"type": "string"},
							"missing": {"type": "string", "description": "the list that would have to name the topic"},
							"count": {"type": "integer", "minimum": 1},
							"last": {"type": "string", "format": "date-time"}
						},
						"additionalProperties": false
					}},
					"dropped": {"type": "array", "description": "messages that somebody missed since the service started", "items": {
						"type": "object",
						"required": ["cause", "why", "messages"],
						"properties": {
							"cause": {"type": "string"},
							"why": {"type": "string"},
							"messages": {"type": "integer", "minimum": 1}
						},
						"additionalProperties": false
					}}
				},
				"additionalProperties": false
			}`,
		},
	}
}

package api

import (
	"context"
	"encoding/json"
	"net/http"

	"kpm/core"
	"kpm/core/view"
)

// Application knows appsettings.json.
type Application interface {
	// Sections are all settings as the file would have them, defaults filled in.
	Sections() map[string]map[string]json.RawMessage
	// Change writes what a JSON object of the same form says into the file, if
	// the whole is valid then. The error is a fault.List or *fault.Fault about
	// body, or of kind Conflict.
	Change(ctx context.Context, by core.Principal, body []byte) (view.ApplicationSettingsPut, error)
}

// applicationOperations read and change application settings.
func applicationOperations(app Application) group {
	const sections = `{"type": "object", "additionalProperties": {"type": "object"}}`
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/Settings", access: adminTier,
			handle: func(*call) (any, error) { return app.Sections(), nil },
			id:     "applicationSettings", summary: "Application settings",
			description: "`appsettings.json` with its defaults filled in; `/schemas/appsettings.schema.json` describes it.",
			answer:      answer{status: http.StatusOK, description: "Settings by section", schema: sections},
		}, {
			method: http.MethodPut, path: "/api/Settings", access: adminTier,
			handle: func(c *call) (any, error) {
				body, err := c.readJSON()
				if err != nil {
					return nil, err
				}
				done, err := app.Change(c.Context(), c.who.Principal, body.Raw())
				if err != nil {
					return nil, err
				}
				return done, nil
			},
			id: "putApplicationSettings", summary: "Change application settings",
			description: "Settings that are not named keep what they have; null takes one out of the file. All of it is written, or nothing: the file is valid afterwards, and keeps whatever else it has.",
			body:        &body{required: true, schema: sections},
			answer:      answer{status: http.StatusOK, description: "What is in force now, and what when the service starts again", schema: ref("ApplicationSettingsPut")},
			problems:    []int{http.StatusConflict},
		}},
		schemas: map[string]schema{"ApplicationSettingsPut": `{
			"type": "object",
			"required": ["changed", "restartRequired"],
			"properties": {
				"changed": {"type": "array", "items": {"type": "string"}},
				"restartRequired": {"type": "array", "items": {"type": "string"}}
			},
			"additionalProperties": false
		}`},
	}
}

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
	// Reload reads all files again, and returns when what they say is in force.
	Reload(ctx context.Context) view.Reloaded
	// ReloadPolicies reads policies again and nothing else, and returns when they are
	// in force.
	ReloadPolicies(ctx context.Context) view.Reloaded
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
		}, {
			method: http.MethodPost, path: "/api/system/reload", access: adminTier,
			handle: func(c *call) (any, error) {
				switch only := c.URL.Query().Get("only"); only {
				case "":
					return app.Reload(c.Context()), nil
				case "policies":
					return app.ReloadPolicies(c.Context()), nil
				default:
					return nil, problem(codeBadRequest, "only is %q, which it cannot be", only)
				}
			},
			query: []queryParameter{{"only", "read these alone", `{"enum": ["policies"]}`}},
			id:    "reload", summary: "Read settings, jobs, plugins and policies again",
			description: "As SIGHUP does. It is answered when all that can be used is in force: whoever asks for an elevation afterwards is decided on by the policies as they lie there. A file that cannot be used leaves in force what was, and is a problem.",
			answer:      answer{status: http.StatusOK, description: "What has changed", schema: ref("Reloaded")},
		}},
		schemas: map[string]schema{"ApplicationSettingsPut": `{
			"type": "object",
			"required": ["changed", "restartRequired"],
			"properties": {
				"changed": {"type": "array", "items": {"type": "string"}},
				"restartRequired": {"type": "array", "items": {"type": "string"}}
			},
			"additionalProperties": false
		}`, "Reloaded": `{
			"type": "object",
			"required": ["settings", "restartRequired", "jobs", "plugins", "problems"],
			"properties": {
				"settings": {"type": "array", "items": {"type": "string"}, "description": "in force now"},
				"restartRequired": {"type": "array", "items": {"type": "string"}, "description": "settings that wait for the service to start again"},
				"jobs": {"type": "array", "items": {"type": "string"}, "description": "changed, came or went"},
				"plugins": {"$ref": "#/components/schemas/PluginsReloaded"},
				"problems": {"type": "array", "items": {"type": "string"}, "description": "what could not be used"}
			},
			"additionalProperties": false
		}`},
	}
}

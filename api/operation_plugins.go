package api

import (
	"net/http"

	"kpm/core/view"
)

// Plugins knows the plugins.
type Plugins interface {
	// List returns every registered plugin, broken ones too, by id.
	List() []view.Plugin
}

func pluginOperations(plugins Plugins) group {
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/api/plugins", access: pluginTier,
			handle: func(*call) (any, error) {
				return append([]view.Plugin{}, plugins.List()...), nil // never null
			},
			id: "listPlugins", summary: "List the plugins",
			answer: answer{status: http.StatusOK, description: "Every registered plugin", schema: listOf("Plugin")},
		}},
		schemas: map[string]schema{
			"Plugin": `{
				"type": "object",
				"required": ["id", "name", "status", "processId"],
				"properties": {
					"id": {"type": "string"},
					"name": {"type": "string"},
					"status": {"type": "string", "description": "Starting, Healthy, Unhealthy, Stopping, Stopped or Failed"},
					"processId": {"type": "integer", "minimum": 0, "description": "0 while it does not run"},
					"lastStartTime": {"type": "string", "description": "absent if it has never run", "format": "date-time"},
					"detail": {"type": "string", "description": "why it does not run"}
				},
				"additionalProperties": false
			}`,
		},
	}
}

package api

// pluginSchemas are those of what package view says about plugins.
func pluginSchemas() map[string]schema {
	const state = `{"type": "string", "enum": ["Healthy", "Unhealthy", "Starting", "Stopping", "Failed", "Stopped"],
		"description": "Stopped is not meant to run now; Failed should run, and will not until somebody acts"}`
	const ids = `{"type": "array", "items": {"type": "string"}}`
	return map[string]schema{
		"Plugin": `{
			"type": "object",
			"required": ["id", "name", "status", "processId"],
			"properties": {
				"id": {"type": "string"},
				"name": {"type": "string"},
				"status": ` + state + `,
				"processId": {"type": "integer", "minimum": 0, "description": "0 while it does not run"},
				"lastStartTime": {"type": "string", "description": "absent if it has never run", "format": "date-time"},
				"detail": {"type": "string", "description": "why it does not run"}
			},
			"additionalProperties": false
		}`,
		"PluginHealth": `{
			"type": "object",
			"required": ["id", "status", "monitored", "processId", "uptimeSeconds", "restarts"],
			"properties": {
				"id": {"type": "string"},
				"status": ` + state + `,
				"monitored": {"type": "boolean", "description": "an exit that nobody asked for is a fault"},
				"processId": {"type": "integer", "minimum": 0, "description": "0 while it does not run"},
				"uptimeSeconds": {"type": "number", "minimum": 0},
				"lastStartTime": {"type": "string", "format": "date-time"},
				"restarts": {"type": "integer", "minimum": 0, "description": "by the agent, since somebody started it"},
				"lastExit": {"type": "string", "description": "how its last process ended; absent if none has"},
				"lastStderr": {"type": "array", "items": {"type": "string"}, "description": "the last lines that it wrote to standard error, 20 at most"},
				"detail": {"type": "string", "description": "why it is not healthy"},
				"instances": {
					"type": "array", "description": "of a plugin that runs in users' sessions; the rest is of the one that is worst off",
					"items": {
						"type": "object",
						"required": ["session", "user", "status", "processId"],
						"properties": {
							"session": {"type": "string"},
							"user": {"type": "string"},
							"status": ` + state + `,
							"processId": {"type": "integer", "minimum": 0},
							"detail": {"type": "string"}
						},
						"additionalProperties": false
					}
				}
			},
			"additionalProperties": false
		}`,
		"Monitoring": `{
			"type": "object",
			"required": ["intervalSeconds", "checks", "breakerLimit", "breakerWindowSeconds", "maxBackoffSeconds", "plugins"],
			"properties": {
				"intervalSeconds": {"type": "number", "description": "PluginMonitoring:IntervalSeconds"},
				"checks": {"type": "integer", "minimum": 0, "description": "since the service started"},
				"lastCheck": {"type": "string", "format": "date-time"},
				"breakerLimit": {"type": "integer"},
				"breakerWindowSeconds": {"type": "number"},
				"maxBackoffSeconds": {"type": "number"},
				"plugins": {"type": "array", "items": {"$ref": "#/components/schemas/PluginHealth"}}
			},
			"additionalProperties": false
		}`,
		"PluginsReloaded": `{
			"type": "object",
			"required": ["added", "removed", "restarted", "settings", "broken"],
			"properties": {
				"added": ` + ids + `,
				"removed": ` + ids + `,
				"restarted": ` + ids + `,
				"settings": ` + ids + `,
				"broken": {"type": "object", "additionalProperties": {"type": "string"}, "description": "why a file cannot be used; its plugin is as before"}
			},
			"additionalProperties": false
		}`,
	}
}

package api

import (
	"net/http"
	"time"

	"kpm/core/view"
)

// serviceName is the name that the published pages give.
const serviceName = "KeeperPrivilegeManager"

// publicOperations are the pages that anyone on the machine may read.
func publicOperations(version string, plugins Plugins, jobs Jobs) group {
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/", access: anyone, plain: true,
			handle: func(*call) (any, error) {
				return view.Service{Service: serviceName, Status: "running", Version: version}, nil
			},
			id: "root", summary: "Which service this is",
			answer: answer{http.StatusOK, "Name, state and version", ref("Root")},
		}, {
			method: http.MethodGet, path: "/health", access: anyone, plain: true,
			handle: func(*call) (any, error) {
				return view.Health{Status: "healthy", Timestamp: time.Now().UTC().Format(time.RFC3339), Version: version}, nil
			},
			id: "health", summary: "Whether the service is up",
			answer: answer{http.StatusOK, "It is", ref("Health")},
		}, {
			method: http.MethodGet, path: "/api/system/status", access: anyone, plain: true,
			handle: func(*call) (any, error) { return countThings(plugins, jobs), nil },
			id:     "status", summary: "Counts of plugins and jobs",
			answer: answer{http.StatusOK, "The counts", ref("Status")},
		}},
		schemas: map[string]schema{
			"Root": `{
				"type": "object",
				"required": ["service", "status", "version"],
				"properties": {
					"service": {"const": "KeeperPrivilegeManager"},
					"status": {"const": "running"},
					"version": {"type": "string"}
				},
				"additionalProperties": false
			}`,
			"Health": `{
				"type": "object",
				"required": ["status", "timestamp", "version"],
				"properties": {
					"status": {"const": "healthy"},
					"timestamp": {"type": "string", "description": "RFC 3339, UTC", "format": "date-time"},
					"version": {"type": "string"}
				},
				"additionalProperties": false
			}`,
			"Status": `{
				"type": "object",
				"required": ["status", "plugins", "jobs"],
				"properties": {
					"status": {"const": "running"},
					"plugins": {"type": "integer", "minimum": 0},
					"jobs": {
						"type": "object",
						"required": ["total", "enabled"],
						"properties": {"total": {"type": "integer", "minimum": 0}, "enabled": {"type": "integer", "minimum": 0}},
						"additionalProperties": false
					}
				},
				"additionalProperties": false
			}`,
		},
	}
}

func countThings(plugins Plugins, jobs Jobs) view.SystemStatus {
	counted := view.SystemStatus{Status: "running", Plugins: len(plugins.List())}
	for _, job := range jobs.List() {
		counted.Jobs.Total++
		if job.Enabled {
			counted.Jobs.Enabled++
		}
	}
	return counted
}

package api

import (
	"net/http"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// serviceName is the name that the published pages give.
const serviceName = "KeeperPrivilegeManager"

// Health knows whether elevations could succeed, and policies are kept.
type Health interface {
	// Obstacles says why one could not succeed now, each in a sentence; nothing
	// if one could.
	Obstacles() []string
	// Lapses says which policies are not kept now, and why, each in a sentence; nothing
	// if all are.
	Lapses() []string
}

// publicOperations are the pages that anyone on the machine may read.
func publicOperations(version string, health Health, plugins Plugins, jobs Jobs) group {
	h := publicHandlers{version, health, plugins, jobs}
	return group{
		operations: []operation{{
			method: http.MethodGet, path: "/", access: anyone, plain: true,
			handle: func(*call) (any, error) {
				return view.Service{Service: serviceName, Status: "running", Version: version}, nil
			},
			id: "root", summary: "Which service this is",
			answer: answer{status: http.StatusOK, description: "Name, state and version", schema: ref("Root")},
		}, {
			method: http.MethodGet, path: "/health", access: anyone, plain: true,
			handle: h.health,
			id:     "health", summary: "Whether elevations could succeed, and policies are kept",
			answer:  answer{status: http.StatusOK, description: "They could, and are", schema: ref("Health")},
			instead: &answer{status: http.StatusServiceUnavailable, description: "None could now, or a policy is not kept; /api/system/status says why", schema: ref("Unhealthy")},
		}, {
			method: http.MethodGet, path: "/api/system/status", access: anyone, plain: true,
			handle: h.status,
			id:     "status", summary: "Whether elevations could succeed, policies are kept, and counts of plugins and jobs",
			description: "Why not is told to tier Plugin and above.",
			answer:      answer{status: http.StatusOK, description: "That, and the counts", schema: ref("Status")},
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
			"Unhealthy": `{
				"type": "object",
				"required": ["status", "timestamp", "version"],
				"properties": {
					"status": {"const": "unhealthy"},
					"timestamp": {"type": "string", "description": "RFC 3339, UTC", "format": "date-time"},
					"version": {"type": "string"}
				},
				"additionalProperties": false
			}`,
			"Status": `{
				"type": "object",
				"required": ["status", "healthy", "plugins", "jobs"],
				"properties": {
					"status": {"const": "running"},
					"healthy": {"type": "boolean", "description": "an elevation could succeed now, and policies are kept"},
					"policiesNotKept": {"type": "boolean", "description": "true: keeperexec is switched on, policies in force say which programs may run, and it does not run"},
					"lapses": {"type": "array", "items": {"type": "string"}, "description": "which policies are not kept, and why"},
					"problems": {"type": "array", "items": {"type": "string"}, "description": "why none could"},
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

type publicHandlers struct {
	version string
	known   Health
	plugins Plugins
	jobs    Jobs
}

func (h publicHandlers) health(*call) (any, error) {
	said := view.Health{Status: "healthy", Timestamp: time.Now().UTC().Format(time.RFC3339), Version: h.version}
	if len(h.known.Obstacles())+len(h.known.Lapses()) == 0 {
		return said, nil
	}
	said.Status = "unhealthy"
	return instead{said}, nil
}

func (h publicHandlers) status(c *call) (any, error) {
	problems, lapses := h.known.Obstacles(), h.known.Lapses()
	said := view.SystemStatus{Status: "running", Healthy: len(problems)+len(lapses) == 0, NotKept: len(lapses) > 0, Plugins: len(h.plugins.List())}
	// They name files and what is in them.
	if c.who.Tier() >= core.TierPlugin {
		said.Problems, said.Lapses = problems, lapses
	}
	for _, job := range h.jobs.List() {
		said.Jobs.Total++
		if job.Enabled {
			said.Jobs.Enabled++
		}
	}
	return said, nil
}

package view

import "kpm/core"

// Service says which service this is (GET /).
type Service struct {
	Service string `json:"service"`
	Status  string `json:"status"`
	Version string `json:"version"`
}

// Health says that the service is up (GET /health). Timestamp is RFC 3339, UTC.
type Health struct {
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Version   string `json:"version"`
}

// SystemStatus counts what the service has (GET /api/system/status).
type SystemStatus struct {
	Status  string    `json:"status"`
	Plugins int       `json:"plugins"`
	Jobs    JobCounts `json:"jobs"`
}

// JobCounts are of registered jobs, broken ones included.
type JobCounts struct {
	Total   int `json:"total"`
	Enabled int `json:"enabled"`
}

// RequestMoved answers a job run that launched or refused its request.
type RequestMoved struct {
	RequestID core.RequestID `json:"RequestId"`
}

package view

import "kpm/core"

// Service says which service this is (GET /).
type Service struct {
	Service string `json:"service"`
	Status  string `json:"status"`
	Version string `json:"version"`
}

// Health says whether elevations could succeed (GET /health). Timestamp is RFC
// 3339, UTC.
type Health struct {
	Status    string `json:"status"` // "healthy" or "unhealthy"
	Timestamp string `json:"timestamp"`
	Version   string `json:"version"`
}

// SystemStatus says the same and counts what the service has (GET
// /api/system/status).
type SystemStatus struct {
	Status string `json:"status"`
	// Healthy: an elevation could succeed now, and policies are kept. Problems says why
	// none could, Lapses which policies are not kept; both are empty for callers who are
	// not told.
	Healthy  bool      `json:"healthy"`
	Problems []string  `json:"problems,omitempty"`
	Plugins  int       `json:"plugins"`
	Jobs     JobCounts `json:"jobs"`
	NotKept  bool      `json:"policiesNotKept,omitempty"` // some are not
	Lapses   []string  `json:"lapses,omitempty"`
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

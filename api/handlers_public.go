package api

import (
	_ "embed"
	"encoding/json"
	"time"
)

// openAPI is the whole API as one OpenAPI 3.1 document (decision 15).
//
//go:embed openapi.json
var openAPI []byte

type health struct {
	Status    string `json:"status"`
	Timestamp string `json:"timestamp"`
	Version   string `json:"version"`
}

func (s *Server) health(*call) (any, error) {
	return health{Status: "healthy", Timestamp: time.Now().UTC().Format(time.RFC3339), Version: s.cfg.Version}, nil
}

type root struct {
	Service string `json:"service"`
	Status  string `json:"status"`
	Version string `json:"version"`
}

func (s *Server) root(*call) (any, error) {
	return root{Service: "KeeperPrivilegeManager", Status: "running", Version: s.cfg.Version}, nil
}

type status struct {
	Status  string    `json:"status"`
	Plugins int       `json:"plugins"`
	Jobs    jobCounts `json:"jobs"`
}

type jobCounts struct {
	Total   int `json:"total"`
	Enabled int `json:"enabled"`
}

func (s *Server) status(*call) (any, error) {
	answer := status{Status: "running", Plugins: len(s.cfg.Plugins.List())}
	for _, job := range s.cfg.Jobs.List() {
		answer.Jobs.Total++
		if job.Enabled {
			answer.Jobs.Enabled++
		}
	}
	return answer, nil
}

func (s *Server) document(*call) (any, error) { return json.RawMessage(openAPI), nil }

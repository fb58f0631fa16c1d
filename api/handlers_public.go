package api

import (
	_ "embed"
	"encoding/json"
	"time"

	"kpm/core/view"
)

// openAPI is the whole API as one OpenAPI 3.1 document (decision 15).
//
//go:embed openapi.json
var openAPI []byte

func (s *Server) health(*call) (any, error) {
	return view.Health{Status: "healthy", Timestamp: time.Now().UTC().Format(time.RFC3339), Version: s.cfg.Version}, nil
}

func (s *Server) root(*call) (any, error) {
	return view.Service{Service: "KeeperPrivilegeManager", Status: "running", Version: s.cfg.Version}, nil
}

func (s *Server) status(*call) (any, error) {
	answer := view.SystemStatus{Status: "running", Plugins: len(s.cfg.Plugins.List())}
	for _, job := range s.cfg.Jobs.List() {
		answer.Jobs.Total++
		if job.Enabled {
			answer.Jobs.Enabled++
		}
	}
	return answer, nil
}

func (s *Server) document(*call) (any, error) { return json.RawMessage(openAPI), nil }

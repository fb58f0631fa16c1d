package api

import (
	"encoding/json"
	"net/http"
)

// call is one request on its way through a handler.
type call struct {
	*http.Request
	w      http.ResponseWriter
	who    caller
	path   string            // as the operation spells it, so that lists of paths can be compared
	values map[string]string // of the path
	// granted is true when the job file's allow list names this request: the
	// run then acts with the tier that it takes (decision 16).
	granted bool
	// document is openapi.json.
	document func() (json.RawMessage, error)
}

func (s *Server) newCall(w http.ResponseWriter, r *http.Request, who caller, o operation, values map[string]string) *call {
	return &call{Request: r, w: w, who: who, path: o.filled(values), values: values, document: s.document}
}

package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"kpm/core/view"
)

func (s *Server) answer(c *call, o operation) {
	body, err := o.handle(c)
	if err == nil {
		status := o.answer.status
		if events, is := body.(stream); is {
			s.pour(c, events)
			return
		}
		if other, is := body.(instead); is {
			status, body = o.instead.status, other.body
		}
		if page, is := body.(text); is {
			page.write(c.w, o.answer.contentType, status)
			return
		}
		writeJSON(c.w, jsonType, status, body)
		return
	}
	p, fault := o.problem(err)
	if fault {
		s.cfg.Log.Error("request", "method", c.Method, "path", c.URL.Path, "caller", c.who.String(), "error", err)
	}
	s.refusal(c.w, c.Request, c.who, p)
}

// refusal answers with a problem. Those that are about authority are logged.
func (s *Server) refusal(w http.ResponseWriter, r *http.Request, who caller, p *Problem) {
	if p.Status == http.StatusForbidden {
		s.cfg.Log.Info("refused", "method", r.Method, "path", r.URL.Path, "caller", who.String(), "code", string(p.Code))
		if s.cfg.Refused != nil {
			s.cfg.Refused(view.APIRefusal{Caller: who.String(), Method: r.Method, Path: r.URL.Path, Code: string(p.Code)})
		}
	}
	if p.Status == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	if p.allow != nil {
		w.Header().Set("Allow", strings.Join(p.allow, ", "))
	}
	p.write(w)
}

// write answers with p.
func (p text) write(w http.ResponseWriter, contentType string, status int) {
	w.Header().Set("Content-Type", contentType)
	if p.next != "" {
		w.Header().Set("Link", "<"+p.next+`>; rel="next"`) // RFC 8288
	}
	w.WriteHeader(status)
	_, _ = w.Write(p.body) // the client is gone if this fails
}

func writeJSON(w http.ResponseWriter, contentType string, status int, body any) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false) // no browser reads it as HTML, and scripts read addresses in it
	err := encoder.Encode(body)
	data := bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	if err != nil { // our own types; only a programming error gets here
		status, contentType = http.StatusInternalServerError, problemType
		data = []byte(`{"title":"Internal Server Error","status":500,"detail":"the answer could not be encoded","code":"internal"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client is gone if this fails
}

const (
	jsonType    = "application/json"
	problemType = "application/problem+json"
)

func (p *Problem) write(w http.ResponseWriter) { writeJSON(w, problemType, p.Status, p) }

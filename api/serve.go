package api

import (
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"

	"kpm/core"
	"kpm/core/reserve"
)

// servePlain answers on plain HTTP: the public pages, redirects, and nothing
// that has a body.
func (s *Server) servePlain(w http.ResponseWriter, r *http.Request) {
	headers(w)
	who, p := s.enter(w, r)
	if p != nil {
		s.refusal(w, r, who, p)
		return
	}
	if found, values, p := find(s.operations, r.Method, r.URL); p == nil && found.plain {
		s.answer(s.newCall(w, r, who, found, values), found)
		return
	}
	port := s.heldHTTPS()
	if port == 0 {
		s.refusal(w, r, who, problem(codeUnavailable,
			"HTTPS is not available: another process holds its port"))
		return
	}
	// The target is ours, never what Host says (open redirect, rebinding).
	target := url.URL{Scheme: "https", Host: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusPermanentRedirect)
}

// serveFull answers on HTTPS and local sockets, and job runs.
func (s *Server) serveFull(w http.ResponseWriter, r *http.Request) {
	reserve.Stack()
	headers(w)
	who, p := s.enter(w, r)
	if p != nil {
		s.refusal(w, r, who, p)
		return
	}
	found, values, p := find(s.operations, r.Method, r.URL)
	if p != nil {
		s.refusal(w, r, who, p)
		return
	}
	c := s.newCall(w, r, who, found, values)
	if p := s.permit(c, found.access); p != nil {
		s.refusal(w, r, who, p)
		return
	}
	s.answer(c, found)
}

func headers(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
}

// enter says who is calling, and makes the checks that come before any routing.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) (caller, *Problem) {
	c := connOf(r)
	who := s.identify(r)
	// A task, plugin or library that makes the service fetch a URL must not
	// thereby speak as root (SSRF against the own API).
	if c.exhausted != nil {
		w.Header().Set("Connection", "close")
		return who, problem(codeUnavailable, "%s", core.ResourceFault(c.exhausted))
	}
	if who.own {
		return who, problem(codeOwnProcess, "the service takes no requests from itself")
	}
	if who.Kind == core.Public {
		// Whoever it was may be known again on its next connection: a process
		// that shared the socket for a moment may have spoilt this one.
		w.Header().Set("Connection", "close")
	}
	if !who.bound && who.Tier() < core.TierPlugin {
		if wait := s.rate.Take(connOf(r).peer.Payer(), 1); wait > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
			return who, problem(codeTooMany, "too many requests by this user: try again in %s", wait.Round(1e6))
		}
	}
	if p := checkHost(r, c.entry); p != nil {
		return who, p
	}
	return who, checkOrigin(r, c.entry)
}

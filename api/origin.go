package api

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// localName is the Host that our own tools send on a local socket, where no
// host name means anything.
const localName = "keeper"

// checkHost refuses a Host that is not this listener's own loopback name. A
// page of attacker.example whose name is rebound to 127.0.0.1 still sends its
// own name (DNS rebinding, CVE-2022-41924).
func checkHost(r *http.Request, e *entry) *Problem {
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil { // no port
		host, port = strings.TrimSuffix(strings.TrimPrefix(r.Host, "["), "]"), ""
		if strings.Contains(host, ":") && r.Host != "["+host+"]" {
			host = "" // an IPv6 address is written in brackets (RFC 3986)
		}
	}
	switch strings.ToLower(host) {
	case "localhost", "127.0.0.1", "::1":
		if held := e.hostPort(); port == "" || held != 0 && port == strconv.Itoa(held) {
			return nil
		}
	case localName:
		if e.local && port == "" {
			return nil
		}
	}
	return problem(codeForeignHost,
		"Host %q is not served: use localhost, 127.0.0.1 or [::1] with the port of this listener", r.Host)
}

// checkOrigin refuses what a browser sends on behalf of somebody else's page
// (CSRF). Browsers set these headers and pages cannot; other clients send
// none.
func checkOrigin(r *http.Request, e *entry) *Problem {
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "none" && site != "same-origin" {
			return problem(codeForeignOrigin, "requests of other sites' pages are refused (Sec-Fetch-Site: %s)", site)
		}
	}
	for _, origin := range r.Header.Values("Origin") {
		if !e.ownOrigin(origin) {
			return problem(codeForeignOrigin, "requests of other origins' pages are refused (Origin: %s)", origin)
		}
	}
	return nil
}

// entry is one way in: what kind of listener a connection came through.
type entry struct {
	scheme string // "http" or "https"; empty for local sockets
	local  bool
	bound  bool
	port   int        // the port held; 0 for local sockets
	https  func() int // the HTTPS port held, 0 if none
}

// hostPort is the port that a Host header may name. A client of the local
// socket may have been given the HTTPS base URL.
func (e *entry) hostPort() int {
	if e.local {
		return e.https()
	}
	return e.port
}

// ownOrigin is true for the origin of this very listener. The port is
// compulsory: without it the origin is some other server of this machine.
func (e *entry) ownOrigin(origin string) bool {
	if e.local {
		return false
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if origin == e.scheme+"://"+net.JoinHostPort(host, strconv.Itoa(e.port)) {
			return true
		}
	}
	return false
}

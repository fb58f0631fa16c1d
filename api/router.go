package api

import (
	"net/http"
	"net/url"
	"strings"

	"kpm/core"
)

// route is one row of the API: openapi.json has the same rows, and a test
// compares them.
type route struct {
	method  string
	pattern string // literal segments and {name}s
	access  access
	status  int // of success
	handle  func(*Server, *call) (any, error)
}

// access says who may use a route.
type access struct {
	// tier reaches the route. JobRun is for routes that belong to job runs
	// alone, whatever their tier.
	tier   core.Tier
	jobRun bool
	// own also admits a plugin in a user's session to what is its own
	// ({plugin} is its id).
	own bool
	// narrower marks routes whose handler asks for more than tier in cases
	// that it documents.
	narrower bool
}

var (
	public     = access{tier: core.TierPublic}
	plugin     = access{tier: core.TierPlugin}
	ownOr      = access{tier: core.TierPlugin, own: true}
	adminMost  = access{tier: core.TierPlugin, narrower: true}
	ownRequest = access{jobRun: true}
)

// routes returns the whole API.
func routes() []route {
	return []route{
		{http.MethodGet, "/", public, http.StatusOK, (*Server).root},
		{http.MethodGet, "/health", public, http.StatusOK, (*Server).health},
		{http.MethodGet, "/api/system/status", public, http.StatusOK, (*Server).status},
		{http.MethodGet, "/openapi.json", public, http.StatusOK, (*Server).document},
		{http.MethodGet, "/api/plugins", plugin, http.StatusOK, (*Server).listPlugins},
		{http.MethodGet, "/api/PluginSettings/{plugin}", ownOr, http.StatusOK, (*Server).pluginSettings},
		{http.MethodGet, "/api/PluginSettings/{plugin}/{setting}", ownOr, http.StatusOK, (*Server).pluginSetting},
		{http.MethodGet, "/api/Jobs", plugin, http.StatusOK, (*Server).listJobs},
		{http.MethodPost, "/api/Jobs/{id}/run", adminMost, http.StatusAccepted, (*Server).runJob},
		{http.MethodPost, "/api/Jobs/{id}/trigger", adminMost, http.StatusAccepted, (*Server).runJob},
		{http.MethodPost, "/api/launch", ownRequest, http.StatusOK, (*Server).launch},
		{http.MethodPost, "/api/refuse", ownRequest, http.StatusOK, (*Server).refuse},
	}
}

// path returns the pattern with its {name}s filled in.
func (r route) path(values map[string]string) string {
	segments := strings.Split(r.pattern, "/")
	for i, segment := range segments {
		if name, isValue := strings.CutPrefix(segment, "{"); isValue {
			segments[i] = url.PathEscape(values[strings.TrimSuffix(name, "}")])
		}
	}
	return strings.Join(segments, "/")
}

// isPlainRoute is true for the routes that plain HTTP serves itself
// (decision 9).
func isPlainRoute(pattern string) bool {
	return pattern == "/" || pattern == "/health" || pattern == "/api/system/status"
}

// find returns the route of a request and the values of its {name}s. Literal
// segments match in any case, as clients of the published API spell them both
// ways. The path is matched as it was sent, segment by segment: no cleaning,
// no redirects, and an escaped slash separates nothing.
func find(all []route, method string, u *url.URL) (route, map[string]string, *Problem) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := strings.Split(u.EscapedPath(), "/")
	var allowed []string
	for _, candidate := range all {
		values, ok := match(strings.Split(candidate.pattern, "/"), segments)
		if !ok {
			continue
		}
		if candidate.method == method {
			return candidate, values, nil
		}
		allowed = append(allowed, candidate.method)
	}
	if allowed != nil {
		p := problem(http.StatusMethodNotAllowed, codeMethod, "this path takes %s", strings.Join(allowed, ", "))
		p.allow = allowed
		return route{}, nil, p
	}
	return route{}, nil, problem(http.StatusNotFound, codeNotFound, "there is nothing here: /openapi.json lists what there is")
}

func match(pattern, segments []string) (map[string]string, bool) {
	if len(pattern) != len(segments) {
		return nil, false
	}
	values := map[string]string{}
	for i, want := range pattern {
		got, err := url.PathUnescape(segments[i])
		if err != nil {
			return nil, false
		}
		name, isValue := strings.CutPrefix(want, "{")
		switch {
		case isValue && got != "":
			values[strings.TrimSuffix(name, "}")] = got
		case isValue || !strings.EqualFold(want, got):
			return nil, false
		}
	}
	return values, true
}

package api

import (
	"net/http"
	"net/url"
	"strings"
)

// find returns the operation of a request and the values of its {name}s. Literal
// segments match in any case, as clients of the published API spell them both
// ways. The path is matched as it was sent, segment by segment: no cleaning,
// no redirects, and an escaped slash separates nothing.
func find(all []operation, method string, u *url.URL) (operation, map[string]string, *Problem) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	segments := strings.Split(u.EscapedPath(), "/")
	// A path without {name}s comes before one with them, whatever its methods:
	// its words are no names.
	var allowed []string
	for _, candidate := range nearest(all, segments) {
		values, _ := match(candidate.path, segments)
		if candidate.method == method {
			return candidate, values, nil
		}
		allowed = append(allowed, candidate.method)
		if candidate.method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	if allowed != nil {
		p := problem(codeMethod, "this path takes %s", strings.Join(allowed, ", "))
		p.allow = allowed
		return operation{}, nil, p
	}
	return operation{}, nil, problem(codeNotFound, "there is no such path: /openapi.json lists all there are")
}

// nearest returns the operations on the path that segments match with the fewest
// {name}s.
func nearest(all []operation, segments []string) (found []operation) {
	best := ""
	for i := range all {
		candidate := &all[i]
		values, ok := match(candidate.path, segments)
		switch {
		case !ok || len(found) > 0 && candidate.path != best && len(values) >= len(found[0].names()):
			continue
		case candidate.path != best:
			best, found = candidate.path, nil
		}
		found = append(found, *candidate)
	}
	return found
}

// match goes over the path without taking it apart: it is asked about every operation.
func match(pattern string, segments []string) (values map[string]string, ok bool) {
	if strings.Count(pattern, "/")+1 != len(segments) {
		return nil, false
	}
	for _, segment := range segments {
		var want string
		want, pattern, _ = strings.Cut(pattern, "/")
		got, err := url.PathUnescape(segment)
		if err != nil {
			return nil, false
		}
		name, isValue := strings.CutPrefix(want, "{")
		switch {
		case isValue && got != "":
			if values == nil {
				values = map[string]string{}
			}
			values[strings.TrimSuffix(name, "}")] = got
		case isValue || !strings.EqualFold(want, got):
			return nil, false
		}
	}
	return values, true
}

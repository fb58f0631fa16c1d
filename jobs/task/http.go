package task

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"kpm/core/fault"
	"kpm/core/wire"
	"kpm/settings"
)

const (
	localPrefix = "{keeperapibaseurl}"
	// localOrigin stands for the local API, which no connection leads to; the name
	// has to be a loopback one for the API to serve it.
	localOrigin = "http://" + localHost
	localHost   = "localhost"
)

// HTTP is the kind of task that is one HTTP request.
func HTTP() Kind {
	external := externalTransport()
	return Kind{Type: "Http", Fields: httpFields{}, Compile: func(s *Source) Task { return compileHTTP(s, external) }}
}

type httpFields struct {
	URL          string            `json:"url" jsonschema_description:"Http: {KeeperApiBaseUrl}/path for the local API, else an absolute http or https URL; tokens in its path and query only."`
	Method       string            `json:"method" jsonschema:"enum=GET,enum=HEAD,enum=POST,enum=PUT,enum=PATCH,enum=DELETE" jsonschema_description:"Http: GET, or POST with a body, if omitted."`
	Headers      map[string]string `json:"headers" jsonschema_description:"Http: names and values; tokens in values."`
	Body         json.RawMessage   `json:"body" jsonschema_description:"Http: JSON, or text; tokens become the contents of a JSON string."`
	SuccessCodes []int             `json:"successCodes" jsonschema_description:"Http: statuses that are a success; 200-299 if omitted."`
}

type header struct {
	name  string
	value settings.Template
}

func compileHTTP(s *Source, external http.RoundTripper) Task {
	var f httpFields
	if !s.Decode(&f) {
		return nil
	}
	t := &exchange{method: strings.ToUpper(f.Method), success: f.SuccessCodes, external: external, merge: s.Merge}
	t.target(s, f.URL)
	hasBody := t.content(s, f)
	if t.method == "" {
		t.method = http.MethodGet
		if hasBody {
			t.method = http.MethodPost
		}
	}
	s.Expect(KnownMethod(t.method), "method", fault.Quote(f.Method), "GET, HEAD, POST, PUT, PATCH or DELETE")
	for i, code := range f.SuccessCodes {
		s.Expect(code >= 100 && code <= 599, fmt.Sprintf("successCodes[%d]", i), fmt.Sprint(code), "100 to 599")
	}
	return t
}

// KnownMethod reports whether an Http task may use m.
func KnownMethod(m string) bool {
	return slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, m)
}

// target takes a url apart: "{KeeperApiBaseUrl}/path?query" for the local API,
// else an absolute http or https URL. Tokens may stand in the path and after the "?",
// never in scheme and host: no event can send a request elsewhere (decision 16).
func (t *exchange) target(s *Source, written string) {
	text := written
	const expected = `"{KeeperApiBaseUrl}/..." or an http or https URL, with tokens in its path and query only`
	if len(text) >= len(localPrefix) && strings.EqualFold(text[:len(localPrefix)], localPrefix) {
		t.local = true
		text = localOrigin + text[len(localPrefix):]
	}
	address, after, _ := strings.Cut(text, "?")
	scheme, rest, _ := strings.Cut(address, "://")
	host, path, hasPath := strings.Cut(rest, "/")
	u, err := url.Parse(scheme + "://" + host)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		!strings.ContainsAny(scheme+host, "{}\\#") && !strings.ContainsAny(path+after, "#\\") &&
		(!t.local || scheme+"://"+host == localOrigin)
	s.Expect(ok, "url", fault.Quote(written), expected)
	if !ok {
		return
	}
	t.written, t.origin, t.query = address, u, settings.ParseTemplate(after)
	if !hasPath {
		return
	}
	for segment := range strings.SplitSeq(path, "/") {
		template := settings.ParseTemplate(segment)
		t.path = append(t.path, template)
		for _, part := range template.Parts() {
			s.Expect(part.Token != "" || !strings.ContainsAny(part.Literal, "{}"), "url", fault.Quote(written), expected)
		}
	}
}

// content compiles headers and body, and reports whether there is a body. A
// body that is text in the file is sent as it is, any other JSON value as JSON;
// in both, a token becomes the contents of a JSON string.
func (t *exchange) content(s *Source, f httpFields) bool {
	typed := false
	for name, value := range f.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		fixed := slices.Contains([]string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer"}, canonical)
		s.Expect(!fixed && headerName(name) && !strings.ContainsAny(value, "\r\n\x00"), "headers."+wire.Printable(name), fault.Quote(value), "a header that may be set, on one line")
		t.headers = append(t.headers, header{canonical, settings.ParseTemplate(value)})
		typed = typed || canonical == "Content-Type"
	}
	if len(f.Body) == 0 || string(f.Body) == "null" {
		return false
	}
	var text string
	if json.Unmarshal(f.Body, &text) != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, f.Body); err != nil {
			s.Expect(false, "body", err.Error(), "text or JSON")
		}
		text = compact.String()
	}
	t.body = settings.ParseTemplate(text)
	if !typed {
		t.headers = append(t.headers, header{"Content-Type", settings.ParseTemplate("application/json")})
	}
	return true
}

// headerName reports whether s is a header name (RFC 9110, "token").
func headerName(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	}) < 0
}

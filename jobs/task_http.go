package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"kpm/core/wire"
	"kpm/settings"
)

const (
	maxBody     = 1 << 20 // bytes of a request or response
	maxProblem  = 300     // bytes of a response that an error shows
	localPrefix = "{keeperapibaseurl}"
	// localOrigin stands for the local API on a connection that is already
	// made; the name has to be a loopback one for the API to serve it.
	localOrigin = "http://localhost"
)

// httpTask is one HTTP request. Everything but values is fixed when the file is
// read: method, scheme, host, path and header names hold no token, so no event
// can send a request elsewhere (decision 16).
type httpTask struct {
	local   bool
	method  string
	address string            // up to and without "?"
	query   settings.Template // after it
	headers []header
	body    settings.Template // without parts when there is none
	success []int             // empty means 200-299
}

type header struct {
	name  string
	value settings.Template
}

func (c *compiler) http(field string, f taskFile) action {
	t := &httpTask{method: strings.ToUpper(f.Method), success: f.SuccessCodes}
	c.address(field+".url", f.URL, t)
	hasBody := c.body(field, f, t)
	if t.method == "" {
		t.method = http.MethodGet
		if hasBody {
			t.method = http.MethodPost
		}
	}
	c.expect(knownMethod(t.method), field+".method", settings.Quote(f.Method), "GET, HEAD, POST, PUT, PATCH or DELETE")
	for i, code := range f.SuccessCodes {
		c.expect(code >= 100 && code <= 599, fmt.Sprintf("%s.successCodes[%d]", field, i), fmt.Sprint(code), "100 to 599")
	}
	return t
}

// address takes a url apart: "{KeeperApiBaseUrl}/path?query" for the local API,
// else an absolute http or https URL. Tokens may stand after the "?" only.
func (c *compiler) address(field, written string, t *httpTask) {
	text := written
	const expected = `"{KeeperApiBaseUrl}/..." or an http or https URL, with tokens after the "?" only`
	if len(text) >= len(localPrefix) && strings.EqualFold(text[:len(localPrefix)], localPrefix) {
		t.local = true
		text = localOrigin + text[len(localPrefix):]
	}
	address, query, _ := strings.Cut(text, "?")
	u, err := url.Parse(address)
	ok := err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil && u.Fragment == "" &&
		!strings.ContainsAny(address, "{}\\#") && !strings.ContainsAny(query, "#") &&
		(!t.local || address == localOrigin || strings.HasPrefix(address, localOrigin+"/"))
	c.expect(ok, field, settings.Quote(written), expected)
	t.address, t.query = address, settings.ParseTemplate(query)
}

// body compiles headers and body. A body that is text in the file is sent as
// it is, any other JSON value as JSON; in both, a token becomes the contents
// of a JSON string.
func (c *compiler) body(field string, f taskFile, t *httpTask) bool {
	typed := false
	for name, value := range f.Headers {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		fixed := slices.Contains([]string{"Host", "Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer"}, canonical)
		c.expect(!fixed && headerName(name) && !strings.ContainsAny(value, "\r\n\x00"), field+".headers."+wire.Printable(name), settings.Quote(value), "a header that may be set, on one line")
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
			c.expect(false, field+".body", err.Error(), "text or JSON")
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

func (t *httpTask) do(ctx context.Context, r *run) (map[string]any, error) {
	req, err := t.request(ctx, r)
	if err != nil {
		return nil, err
	}
	transport := r.service.external
	if t.local {
		transport = r.localTransport()
	}
	// RoundTrip, not a Client: no redirects, no cookies, no proxy from the
	// environment. A 3xx is an answer like any other.
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", t.method, t.address, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", t.method, t.address, err)
	case len(data) > maxBody:
		return nil, fmt.Errorf("%s %s: the response is longer than %d bytes", t.method, t.address, maxBody)
	case !t.succeeded(resp.StatusCode):
		return nil, fmt.Errorf("%s %s: status %d: %s", t.method, t.address, resp.StatusCode, explain(data))
	}
	return nil, nil
}

func (t *httpTask) request(ctx context.Context, r *run) (*http.Request, error) {
	query, err := t.query.Expand(func(token string) (string, error) {
		value, err := r.value(token)
		return url.QueryEscape(value), err
	})
	if err != nil {
		return nil, err
	}
	address := t.address
	if query != "" {
		address += "?" + query
	}
	body, err := t.body.Expand(r.inJSON)
	if err != nil {
		return nil, err
	}
	if len(body) > maxBody {
		return nil, fmt.Errorf("the body is longer than %d bytes", maxBody)
	}
	req, err := http.NewRequestWithContext(ctx, t.method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header["User-Agent"] = nil // says nothing about this machine
	for _, h := range t.headers {
		value, err := h.value.Expand(r.value)
		if err != nil {
			return nil, err
		}
		// Attack: a line end in a value begins another header.
		if strings.ContainsAny(value, "\r\n\x00") {
			return nil, fmt.Errorf("header %s: the value holds a line end", h.name)
		}
		req.Header.Set(h.name, value)
	}
	return req, nil
}

func (t *httpTask) succeeded(status int) bool {
	if len(t.success) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(t.success, status)
}

// explain returns what a response says about a failure: the detail of problem
// details (RFC 9457), else its beginning.
func explain(data []byte) string {
	var problem struct{ Title, Detail string }
	text := string(data)
	if json.Unmarshal(data, &problem) == nil && problem.Title+problem.Detail != "" {
		text = strings.TrimPrefix(problem.Title+": "+problem.Detail, ": ")
	}
	if len(text) > maxProblem {
		text = text[:maxProblem] + "..."
	}
	return wire.Printable(strings.TrimSpace(text))
}

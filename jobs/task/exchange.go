package task

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"kpm/core/wire"
	"kpm/settings"
)

const (
	maxBody    = 1 << 20 // bytes of a request or response
	maxProblem = 300     // bytes of a response that an error shows
)

// exchange is one HTTP request and its response. Everything but values is fixed
// when the file is read: method, scheme, host, path and header names hold no
// token, so no event can send a request elsewhere (decision 16).
type exchange struct {
	local   bool
	method  string
	address string            // up to and without "?"
	query   settings.Template // after it
	headers []header
	body    settings.Template // without parts when there is none
	success []int             // empty means 200-299

	external http.RoundTripper
}

func (t *exchange) Run(ctx context.Context, r Run) (map[string]any, error) {
	req, err := t.request(ctx, r)
	if err != nil {
		return nil, err
	}
	transport := t.external
	if t.local {
		transport = r.Local()
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

func (t *exchange) request(ctx context.Context, r Run) (*http.Request, error) {
	query, err := t.query.Expand(Query(r))
	if err != nil {
		return nil, err
	}
	address := t.address
	if query != "" {
		address += "?" + query
	}
	body, err := t.body.Expand(JSON(r))
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
		value, err := h.value.Expand(r.Value)
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

func (t *exchange) succeeded(status int) bool {
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
	return wire.PrintableLine(strings.TrimSpace(text))
}

// externalTransport reaches other machines: no proxy from the environment, no
// connection kept, no identity of ours.
func externalTransport() http.RoundTripper {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

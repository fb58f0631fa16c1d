package task

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"kpm/core/fault"
	"kpm/core/wire"
	"kpm/settings"
)

const (
	maxBody    = 1 << 20 // bytes of a request or response
	maxProblem = 300     // bytes of a response that an error shows
)

// exchange is one HTTP request and its response. Method, scheme, host and header names
// are fixed when the file is read: they hold no token, so no event can send a request
// elsewhere (decision 16).
type exchange struct {
	local   bool
	merge   bool // the response becomes context
	method  string
	written string   // up to and without "?", for people
	origin  *url.URL // scheme and host
	path    []settings.Template
	query   settings.Template
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
	if t.local || t.meansLocal(r) {
		transport = r.Local()
		req.Host = localHost // whichever port is written: each listener serves its own alone
	}
	// RoundTrip, not a Client: no redirects, no cookies, no proxy from the
	// environment. A 3xx is an answer like any other.
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", t.method, t.written, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	output, cut := bounded(data, maxOutput)
	r.Report(Report{Output: fmt.Sprintf("%d %s\n%s", resp.StatusCode, http.StatusText(resp.StatusCode), output), Cut: cut})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", t.method, t.written, err)
	case len(data) > maxBody:
		return nil, fmt.Errorf("%s %s: the response is longer than %d bytes", t.method, t.written, maxBody)
	case !t.succeeded(resp.StatusCode):
		return nil, fmt.Errorf("%s %s: status %d: %s", t.method, t.written, resp.StatusCode, explain(data))
	case t.merge:
		found, err := object(data)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", t.method, t.written, err)
		}
		return found, nil
	}
	return nil, nil
}

// meansLocal reports whether a URL that is written out is that of the local API: a
// loopback name with a port that the service holds (decision 16): the one for HTTP does
// no more than send callers on.
func (t *exchange) meansLocal(r Run) bool {
	name := t.origin.Hostname()
	if ip, err := netip.ParseAddr(name); !strings.EqualFold(name, "localhost") && (err != nil || !ip.IsLoopback()) {
		return false
	}
	return slices.ContainsFunc(r.Held(), func(base string) bool {
		held, err := url.Parse(base)
		return err == nil && t.origin.Scheme == held.Scheme && t.origin.Port() == held.Port()
	})
}

// place is the URL's path: each value stays one segment, and is never "." or "..".
func (t *exchange) place(r Run) (string, error) {
	var b strings.Builder
	for _, segment := range t.path {
		b.WriteByte('/')
		text, err := segment.Expand(func(token string) (string, error) {
			value, err := r.Value(token)
			return url.PathEscape(value), err
		})
		if err != nil {
			return "", err
		}
		// Attack: an id of ".." asks for another path than the file says.
		if dots := text == "." || text == ".."; dots || text == "" && len(segment.Parts()) > 0 {
			return "", fmt.Errorf("url: a part of the path would be %s", fault.Text(text))
		}
		b.WriteString(text)
	}
	return b.String(), nil
}

func (t *exchange) request(ctx context.Context, r Run) (*http.Request, error) {
	path, err := t.place(r)
	if err != nil {
		return nil, err
	}
	query, err := t.query.Expand(Query(r))
	if err != nil {
		return nil, err
	}
	address := t.origin.Scheme + "://" + t.origin.Host + path
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

// errMetadata is why a request is not sent.
var errMetadata = errors.New("the address is one at which clouds give credentials to whoever asks from this machine")

// externalTransport reaches other machines: no proxy from the environment, no
// connection kept, no identity of ours.
func externalTransport() http.RoundTripper {
	dialer := net.Dialer{Timeout: 10 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		// The address that a name has led to, not the name.
		to, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		if metadata(to.Addr()) {
			return errMetadata
		}
		return nil
	}}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// metadata reports whether an address is link-local, or one of those at which clouds
// serve instance metadata besides.
//
// Attack: who can choose a job's address, or what a name of it leads to, has the service
// fetch the machine's cloud credentials.
func metadata(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLinkLocalUnicast() || slices.Contains([]string{"fd00:ec2::254", "100.100.100.200", "168.63.129.16"}, ip.WithZone("").String())
}

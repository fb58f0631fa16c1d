// Package client is how tools on this machine speak to the service's API: over
// its local socket, or over HTTPS where its certificate is verified.
//
// It follows no redirect and uses no proxy: the answer comes from this machine
// or not at all. What the answers mean is the tools' affair; package api is the
// other end.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	answerTimeout = 30 * time.Second
	maxAnswer     = 16 << 20 // bytes
)

var (
	// ErrNotRunning is wrapped when nobody answers.
	ErrNotRunning = errors.New("the service does not answer")
	// ErrNoCertificate means that anchors hold no certificate.
	ErrNoCertificate = errors.New("holds no certificate")
)

// Client asks one service. It is closed after use.
type Client struct {
	http http.Client
	base string
}

// Local returns a client of the service behind the local socket that dial
// connects to.
func Local(dial func() (net.Conn, error)) *Client {
	return newClient("http://keeper", &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() },
	})
}

// HTTPS returns a client of the service at host, a name and a port. It trusts
// anchors, in PEM, the certificate that the running service made for itself,
// and nothing else: another process may hold the port (decision 17). It shows
// the certificates in own to a service that asks for one. ErrNoCertificate
// means that anchors are none.
func HTTPS(host string, anchors []byte, own ...tls.Certificate) (*Client, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(anchors) {
		return nil, ErrNoCertificate
	}
	return newClient("https://"+host, &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: own},
	}), nil
}

func newClient(base string, transport *http.Transport) *Client {
	return &Client{base: base, http: http.Client{
		Transport:     transport,
		Timeout:       answerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Close closes connections that are kept.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Call sends one request and returns the answer's JSON, at most 16 MiB, within
// 30 seconds. What the service refuses is an error of type *Refusal; where
// nobody answers it wraps ErrNotRunning, where this process may not even ask
// fs.ErrPermission, and where ctx is done before somebody answers, ctx's error
// only.
func (c *Client) Call(ctx context.Context, method, path string, body []byte) (json.RawMessage, error) {
	answer, err := c.send(ctx, method, path, body)
	if err == nil && !json.Valid(answer) {
		return nil, fmt.Errorf("%s %s: the answer is not JSON: is that the service?", method, path)
	}
	return answer, err
}

// Text is Call for an answer that is something else than JSON.
func (c *Client) Text(ctx context.Context, method, path string) ([]byte, error) {
	return c.send(ctx, method, path, nil)
}

func (c *Client) send(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.do(&c.http, request, path)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	case response.StatusCode >= 300:
		return nil, refused(response.StatusCode, answer)
	}
	return answer, nil
}

// do sends a request. Its errors are those of Call.
func (c *Client) do(client *http.Client, request *http.Request, path string) (*http.Response, error) {
	response, err := client.Do(request)
	if err == nil {
		return response, nil
	}
	if err := request.Context().Err(); err != nil { // it says nothing about the service
		return nil, fmt.Errorf("%s %s: %w", request.Method, path, err)
	}
	var failed *url.Error
	if errors.As(err, &failed) { // it names a URL that the caller did not
		err = failed.Err
	}
	if errors.Is(err, fs.ErrPermission) { // that says nothing about the service
		return nil, fmt.Errorf("the service cannot be reached: %w", err)
	}
	return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
}

// Get reads path into into.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	answer, err := c.Call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

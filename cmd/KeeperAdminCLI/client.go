package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kpm/settings"
)

const (
	answerTimeout = 30 * time.Second
	maxAnswer     = 16 << 20 // bytes
)

// errNotRunning is wrapped when nobody answers.
var errNotRunning = errors.New("the service does not answer")

// endpoint is how commands reach the service: the local socket of the agent
// root, unless --port or --url says HTTPS.
type endpoint struct {
	*options
	port uint16
	url  string
	// certificate and key are files of a client certificate, for machines that
	// ask administrators for one.
	certificate, key string
}

func (e *endpoint) flags(cmd *cobra.Command) {
	cmd.PersistentFlags().Uint16Var(&e.port, "port", 0, "reach the service by HTTPS at this port, not by its local socket")
	cmd.PersistentFlags().StringVar(&e.url, "url", "", "the same by URL, such as https://localhost:6889")
	cmd.PersistentFlags().StringVar(&e.certificate, "client-cert", "", "with --port or --url: show this client certificate (PEM, with its chain)")
	cmd.PersistentFlags().StringVar(&e.key, "client-key", "", "its private key (PEM)")
	cmd.MarkFlagsMutuallyExclusive("port", "url")
	cmd.MarkFlagsRequiredTogether("client-cert", "client-key")
}

// call sends one request and returns the answer's JSON. What the service
// refuses is an error of type *refusal.
func (e *endpoint) call(ctx context.Context, method, path string, body []byte) (json.RawMessage, error) {
	client, base, err := e.client()
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) { // it names a URL that the caller did not
			err = failed.Err
		}
		return nil, fmt.Errorf("%w: %w", errNotRunning, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	case response.StatusCode >= 300:
		return nil, refused(response.StatusCode, answer)
	case !json.Valid(answer):
		return nil, fmt.Errorf("%s %s: the answer is not JSON: is that the service?", method, path)
	}
	return answer, nil
}

// get reads path into into.
func (e *endpoint) get(ctx context.Context, path string, into any) error {
	answer, err := e.call(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// client returns a client and the base of URLs. It follows no redirect and
// uses no proxy: the answer comes from this machine or not at all.
func (e *endpoint) client() (*http.Client, string, error) {
	layout, err := e.layout()
	if err != nil {
		return nil, "", err
	}
	transport := &http.Transport{}
	base := "http://keeper"
	if e.port == 0 && e.url == "" {
		if e.certificate != "" {
			return nil, "", errors.New("--client-cert is for HTTPS: name its port with --port or --url")
		}
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			return dialLocal(layout.APISocket())
		}
	} else {
		if base, err = e.base(); err != nil {
			return nil, "", err
		}
		if transport.TLSClientConfig, err = verified(layout); err != nil {
			return nil, "", err
		}
		if e.certificate != "" {
			pair, err := tls.LoadX509KeyPair(e.certificate, e.key)
			if err != nil {
				return nil, "", fmt.Errorf("--client-cert: %w", err)
			}
			transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
		}
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       answerTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, base, nil
}

// base is the URL that --port or --url names.
func (e *endpoint) base() (string, error) {
	if e.url == "" {
		return fmt.Sprintf("https://localhost:%d", e.port), nil
	}
	u, err := url.Parse(e.url)
	if err != nil {
		return "", fmt.Errorf("--url: %w", err)
	}
	address, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" || u.User != nil || u.Hostname() != "localhost" && !address.IsLoopback() ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--url is %s, expected https, a loopback host and a port, such as https://localhost:6889", e.url)
	}
	return "https://" + u.Host, nil
}

// verified trusts the certificate that the running service made for itself and
// nothing else: another process may hold the port (decision 17).
func verified(layout settings.Layout) (*tls.Config, error) {
	data, err := os.ReadFile(layout.CA())
	if err != nil {
		return nil, fmt.Errorf("%w at %s: %w", errNotRunning, layout.Root(), err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s holds no certificate", layout.CA())
	}
	return &tls.Config{RootCAs: pool}, nil
}

// refusal is what the service says when it does not do as asked.
type refusal struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Errors []struct {
		Pointer string `json:"pointer"`
		Detail  string `json:"detail"`
	} `json:"errors"`
}

func refused(status int, answer []byte) error {
	var r refusal
	if json.Unmarshal(answer, &r) != nil || r.Code == "" {
		return fmt.Errorf("the answer is %d %s: is that the service?", status, http.StatusText(status))
	}
	return &r
}

// Error says what the service said, and what to do where that is plain.
func (r *refusal) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "refused (%s): %s", r.Code, r.Detail)
	for _, fault := range r.Errors {
		fmt.Fprintf(&b, "; %s: %s", orBody(fault.Pointer), fault.Detail)
	}
	switch r.Code {
	case "tier-too-low":
		b.WriteString("; run this as root")
	case "client-certificate-required":
		b.WriteString("; give --port, --client-cert and --client-key")
	}
	return b.String()
}

func orBody(pointer string) string {
	if pointer == "" {
		return "body"
	}
	return pointer
}

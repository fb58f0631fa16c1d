package admincli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kpm/api/client"
)

// endpoint is how commands reach the service: the local socket of the agent
// root, unless --port or --url says HTTPS.
type endpoint struct {
	*agent
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

// call sends one request and returns the answer's JSON (client.Client.Call).
func (e *endpoint) call(ctx context.Context, method, path string, body []byte) (json.RawMessage, error) {
	c, err := e.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Call(ctx, method, path, body)
}

// ask sends one request and reads the answer into into.
func (e *endpoint) ask(ctx context.Context, method, path string, body []byte, into any) error {
	answer, err := e.call(ctx, method, path, body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// post is ask with POST.
func (e *endpoint) post(ctx context.Context, path string, body []byte, into any) error {
	return e.ask(ctx, http.MethodPost, path, body, into)
}

// get reads path into into.
func (e *endpoint) get(ctx context.Context, path string, into any) error {
	c, err := e.client()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Get(ctx, path, into)
}

// client returns the client that the flags describe.
func (e *endpoint) client() (*client.Client, error) {
	layout, err := e.layout()
	if err != nil {
		return nil, err
	}
	if e.port == 0 && e.url == "" {
		if e.certificate != "" {
			return nil, errors.New("--client-cert is for HTTPS: name its port with --port or --url")
		}
		return client.Local(func() (net.Conn, error) { return e.Host("").Transport.Dial(layout.APISocket()) }), nil
	}
	host, err := e.host()
	if err != nil {
		return nil, err
	}
	anchors, err := os.ReadFile(layout.CA())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w at %s: %w", client.ErrNotRunning, layout.Root(), err)
	case err != nil:
		return nil, err
	}
	var own []tls.Certificate
	if e.certificate != "" {
		pair, err := tls.LoadX509KeyPair(e.certificate, e.key)
		if err != nil {
			return nil, fmt.Errorf("--client-cert: %w", err)
		}
		own = append(own, pair)
	}
	c, err := client.HTTPS(host, anchors, own...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layout.CA(), err)
	}
	return c, nil
}

// host is the host and port that --port or --url names.
func (e *endpoint) host() (string, error) {
	if e.url == "" {
		return fmt.Sprintf("localhost:%d", e.port), nil
	}
	u, err := url.Parse(e.url)
	if err != nil {
		return "", fmt.Errorf("--url: %w", err)
	}
	address, _ := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" || u.User != nil || u.Hostname() != "localhost" && !address.IsLoopback() ||
		u.Port() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("--url is %s, expected https, a loopback host and a port, such as https://localhost:6889", e.url)
	}
	return u.Host, nil
}

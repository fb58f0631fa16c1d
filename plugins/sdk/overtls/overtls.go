// Package overtls reaches the agent over TLS on the loopback interface, for
// systems without local sockets and for signed programs started by hand.
//
// It is a package of its own because crypto/tls costs each process that links
// it more than a megabyte of memory. Programs that the agent starts on Linux or
// macOS have no use for it.
package overtls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"

	"kpm/plugins/sdk"
)

// ErrUnconfigured means that the environment does not say where the agent is.
var ErrUnconfigured = errors.New("KEEPER_API_BASE_URL and KEEPER_CA_FILE are needed")

// Network is a sdk.Network over TLS.
type Network struct {
	api string // host:port
	ca  string // path of what the agent's certificate is verified with
}

var _ sdk.Network = (*Network)(nil)

// FromEnvironment reads KEEPER_API_BASE_URL and KEEPER_CA_FILE. The agent's
// certificate is verified always: whoever binds the port first while the agent
// is down must not be taken for it.
func FromEnvironment() (*Network, error) {
	base, file := os.Getenv("KEEPER_API_BASE_URL"), os.Getenv("KEEPER_CA_FILE")
	if base == "" || file == "" {
		return nil, fmt.Errorf("overtls: %w", ErrUnconfigured)
	}
	at, err := url.Parse(base)
	if err != nil || at.Scheme != "https" || at.Port() == "" {
		return nil, fmt.Errorf("overtls: KEEPER_API_BASE_URL is %.80q, expected https://host:port: %w", base, ErrUnconfigured)
	}
	n := &Network{api: at.Host, ca: file}
	if _, err := n.config(); err != nil {
		return nil, err
	}
	return n, nil
}

// config trusts what the file holds now: the agent renews its certificate, and
// says there which one comes next.
func (n *Network) config() (*tls.Config, error) {
	pem, err := os.ReadFile(n.ca)
	if err != nil {
		return nil, fmt.Errorf("overtls: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("overtls: %s holds no certificate: %w", n.ca, ErrUnconfigured)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}, nil
}

// DialAPI connects to the HTTPS port.
func (n *Network) DialAPI(ctx context.Context) (net.Conn, error) { return n.dial(ctx, n.api) }

// DialBroker asks the API where the broker is, every time: a port may change
// when the agent starts anew.
func (n *Network) DialBroker(ctx context.Context) (net.Conn, error) {
	values, err := sdk.Settings(ctx, n, "KeeperPrivilegeManager")
	if err != nil {
		return nil, err
	}
	host, port := values["broker.host"], values["broker.port"]
	if host == "" || port == "" {
		return nil, fmt.Errorf("overtls: the settings of KeeperPrivilegeManager have broker.host %q and broker.port %q: %w", host, port, sdk.ErrSettings)
	}
	return n.dial(ctx, net.JoinHostPort(host, port))
}

func (n *Network) dial(ctx context.Context, address string) (net.Conn, error) {
	config, err := n.config()
	if err != nil {
		return nil, err
	}
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("overtls: %w", err)
	}
	return conn, nil
}

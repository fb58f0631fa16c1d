package sdk

import (
	"context"
	"errors"
	"net"
	"os"
)

// Network is how a plugin reaches its agent.
type Network interface {
	// DialBroker connects to the broker, DialAPI to the API.
	DialBroker(ctx context.Context) (net.Conn, error)
	DialAPI(ctx context.Context) (net.Conn, error)
}

// ErrNoSocket means that the environment names no local socket: the process
// was not started by the agent, or not on this kind of system. Package overtls
// is the other way.
var ErrNoSocket = errors.New("no local socket in the environment; was this started by the agent?")

// Local returns the network of the local sockets that KEEPER_MQTT_SOCKET and
// KEEPER_API_SOCKET name (docs/settings.md). The kernel tells the agent who
// connects, so nothing is encrypted and nothing needs proof.
func Local() Network {
	return local{broker: os.Getenv("KEEPER_MQTT_SOCKET"), api: os.Getenv("KEEPER_API_SOCKET")}
}

type local struct{ broker, api string }

func (l local) DialBroker(ctx context.Context) (net.Conn, error) { return dialSocket(ctx, l.broker) }
func (l local) DialAPI(ctx context.Context) (net.Conn, error)    { return dialSocket(ctx, l.api) }

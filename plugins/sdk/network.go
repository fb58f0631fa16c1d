package sdk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fullQueueTries are made, fullQueuePause apart, at a socket whose queue is full.
const (
	fullQueueTries = 1000
	fullQueuePause = 5 * time.Millisecond
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

// maxSocketPath is less than what every system allows a socket's address.
const maxSocketPath = 100

func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	if path == "" {
		return nil, fmt.Errorf("sdk: %w", ErrNoSocket)
	}
	if len(path) > maxSocketPath {
		// An agent root may be deep. The directory's descriptor makes the
		// address short.
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("sdk: %w", err)
		}
		defer dir.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	for tries := 0; errors.Is(err, syscall.EAGAIN) && tries < fullQueueTries; tries++ {
		// Others keep the queue of those who want to connect full.
		select {
		case <-time.After(fullQueuePause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	return conn, nil
}

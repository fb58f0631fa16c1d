//go:build linux

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"
)

// Plugin is one row of GET /api/plugins.
type Plugin struct {
	ID        string `json:"id"`
	Status    string `json:"status"`
	ProcessID int    `json:"processId"`
}

// Client speaks to the API over its local socket, as root. While the queue of those
// who connect is full it tries again: Go does not wait for room in it, as connect(2)
// would.
func (a *Agent) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			for {
				conn, err := (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(a.Root, "run", "api.sock"))
				if !errors.Is(err, syscall.EAGAIN) {
					return conn, err
				}
				select {
				case <-ctx.Done():
					return nil, err
				case <-time.After(time.Millisecond):
				}
			}
		},
	}}
}

// Plugins lists the plugins.
func (a *Agent) Plugins(ctx context.Context) ([]Plugin, error) {
	client := a.Client()
	defer client.CloseIdleConnections()
	return PluginsBy(ctx, client)
}

// PluginsBy is Plugins with a client that is used again.
func PluginsBy(ctx context.Context, client *http.Client) ([]Plugin, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/api/plugins", nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("agent: GET /api/plugins: %s", resp.Status)
	}
	var plugins []Plugin
	if err := json.NewDecoder(resp.Body).Decode(&plugins); err != nil {
		return nil, fmt.Errorf("agent: GET /api/plugins: %w", err)
	}
	return plugins, nil
}

// Plugin returns one plugin.
func (a *Agent) Plugin(ctx context.Context, id string) (Plugin, error) {
	plugins, err := a.Plugins(ctx)
	if err != nil {
		return Plugin{}, err
	}
	for _, p := range plugins {
		if p.ID == id {
			return p, nil
		}
	}
	return Plugin{}, fmt.Errorf("agent: no plugin %s", id)
}

//go:build darwin

package platform

import (
	"kpm/core/port"
	"kpm/platform/darwin"
	"kpm/platform/none"
)

// Tools returns the ports that start nothing by themselves, for programs that an
// administrator runs.
func Tools(string) port.Host {
	host := none.Host(darwin.Facts())
	host.Keys = darwin.KeyStore{}
	host.Signatures = darwin.Signatures{}
	return host
}

// New returns this machine's ports.
func New(o Options) (port.Host, error) { return Tools(o.AgentRoot), nil }

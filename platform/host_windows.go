//go:build windows

package platform

import (
	"kpm/core/port"
	"kpm/platform/none"
	"kpm/platform/windows"
)

// Tools returns the ports that start nothing by themselves, for programs that an
// administrator runs.
func Tools(string) port.Host {
	host := none.Host(windows.Facts())
	host.Keys = windows.KeyStore{}
	host.Certificates = windows.CertificateStore{}
	host.Signatures = windows.Signatures{}
	return host
}

// New returns this machine's ports.
func New(o Options) (port.Host, error) { return Tools(o.AgentRoot), nil }

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
	host.Terminals = windows.Terminals{}
	host.Tree = windows.NewTree()
	return host
}

// New returns this machine's ports. It starts the spare held children.
func New(o Options) (port.Host, error) {
	launcher, err := windows.NewLauncher(o.Helper, o.Spare)
	if err != nil {
		return port.Host{}, err
	}
	host := Tools(o.AgentRoot)
	host.Launcher = launcher
	host.Close = launcher.Close
	return host, nil
}

//go:build linux

package platform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kpm/core/port"
	"kpm/platform/linux"
	"kpm/platform/none"
)

// Tools returns the ports that start nothing and keep nothing open, for
// programs that an administrator runs. agentRoot may be empty.
func Tools(agentRoot string) port.Host {
	files := linux.Files{}
	if agentRoot != "" {
		files.AgentRoot = filepath.Clean(agentRoot)
	}
	host := none.Host(linux.Facts())
	host.Accounts = linux.Accounts{}
	host.Files = files
	host.Keys = linux.KeyStore{}
	host.Service = linux.ServiceManager{}
	host.Signatures = linux.Signatures{}
	host.Terminals = linux.Terminals{}
	host.Transport = linux.Transport{}
	host.Tree = linux.NewTree()
	return host
}

// New returns this machine's ports. It starts the spare held children.
func New(o Options) (port.Host, error) {
	if uid := os.Geteuid(); uid != 0 {
		return port.Host{}, fmt.Errorf("platform: this runs as uid %d, and only root can take other users' identities; let the machine's service manager start it, or use sudo", uid)
	}
	peers, err := linux.NewPeers()
	if err != nil {
		return port.Host{}, err
	}
	if o.CgroupParent == "" {
		o.CgroupParent = linux.DetectCgroup()
	}
	launcher, err := linux.NewLauncher(o.Helper, o.Spare, o.CgroupParent)
	if err != nil {
		return port.Host{}, errors.Join(err, peers.Close())
	}
	host := Tools(o.AgentRoot)
	host.Peers = peers
	host.Launcher = launcher
	host.Close = func() error { return errors.Join(launcher.Close(), peers.Close()) }
	return host, nil
}

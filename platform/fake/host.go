package fake

import (
	"os"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// System is one machine. Its parts are there for tests to look at and change
// before the service starts.
type System struct {
	Accounts  Accounts
	Files     *Files
	Launcher  *Launcher
	Members   *Membership
	Peers     Peers
	Service   *ServiceManager
	Transport *Transport
	Tree      *Tree
}

// New returns a machine with these accounts whose files lie below dir, an
// absolute path without links.
func New(dir string, accounts ...core.Account) *System {
	tree := NewTree(core.ProcessID{PID: os.Getpid(), Start: 1})
	transport := NewTransport()
	return &System{
		Accounts: accounts, Members: &Membership{}, Files: NewFiles(dir), Launcher: NewLauncher(tree, transport),
		Service: NewServiceManager(), Transport: transport, Tree: tree,
	}
}

// Host returns the machine's ports.
func (s *System) Host() port.Host {
	host := none.Host(Facts())
	host.Accounts = s.Accounts
	host.Files = s.Files
	host.Launcher = s.Launcher
	host.Membership = s.Members
	host.Peers = s.Peers
	host.Service = s.Service
	host.Transport = s.Transport
	host.Tree = s.Tree
	return host
}

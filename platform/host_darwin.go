//go:build darwin

package platform

import "kpm/platform/darwin"

// New returns this machine's ports.
func New(Options) (Host, error) {
	return Host{
		Name:          "macOS",
		Files:         darwin.Files{},
		Launcher:      darwin.Launcher{},
		Tree:          darwin.Tree{},
		Terminals:     darwin.Terminals{},
		Transport:     darwin.Transport{},
		Accounts:      darwin.Accounts{},
		Peers:         darwin.Peers{},
		Programs:      darwin.Programs{},
		Store:         darwin.Store{},
		ProtectedRoot: darwin.Files{}.ProtectedRoot,
		Private:       darwin.Private,
		Lock:          darwin.Lock,
		PortOwner:     darwin.PortOwner,
		Close:         func() error { return nil },
	}, nil
}

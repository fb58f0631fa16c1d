//go:build darwin

package platform

import (
	"kpm/core/port"
	"kpm/platform/darwin"
)

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
		System:        darwin.System{},
		Confiner:      darwin.Confiner{},
		Store:         darwin.Store{},
		ProtectedRoot: darwin.Files{}.ProtectedRoot,
		Private:       darwin.Private,
		Lock:          darwin.Lock,
		PortOwner:     darwin.PortOwner,
		Close:         func() error { return nil },
	}, nil
}

// Inspector returns the two ports that looking at a file needs, and starts
// nothing.
func Inspector(agentRoot string) (port.Files, port.SystemSignatures, error) {
	return darwin.Files{}, darwin.System{}, nil
}

// Confiner returns what starts program confined, for who has no Host, and what
// ends it.
func Confiner(string) (port.Confiner, func() error, error) {
	return darwin.Confiner{}, func() error { return nil }, nil
}

//go:build windows

package platform

import (
	"kpm/core/port"
	"kpm/platform/windows"
)

// New returns this machine's ports.
func New(Options) (Host, error) {
	return Host{
		Name:          "Windows",
		ProgramSuffix: ".exe",
		Files:         windows.Files{},
		Launcher:      windows.Launcher{},
		Tree:          windows.Tree{},
		Terminals:     windows.Terminals{},
		Transport:     windows.Transport{},
		Accounts:      windows.Accounts{},
		Peers:         windows.Peers{},
		Programs:      windows.Programs{},
		System:        windows.System{},
		Confiner:      windows.Confiner{},
		Store:         windows.Store{},
		ProtectedRoot: windows.Files{}.ProtectedRoot,
		Private:       windows.Private,
		Lock:          windows.Lock,
		PortOwner:     windows.PortOwner,
		Close:         func() error { return nil },
	}, nil
}

// Inspector returns the two ports that looking at a file needs, and starts
// nothing.
func Inspector(agentRoot string) (port.Files, port.SystemSignatures, error) {
	return windows.Files{}, windows.System{}, nil
}

// Confiner returns what starts program confined, for who has no Host, and what
// ends it.
func Confiner(string) (port.Confiner, func() error, error) {
	return windows.Confiner{}, func() error { return nil }, nil
}

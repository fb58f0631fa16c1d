package platform

import "kpm/core"

// Options says what the ports need to know about this installation.
type Options struct {
	// AgentRoot is the service's directory, absolute and without links. What
	// lies in it may be Protected below sticky directories of root's.
	AgentRoot string
	// Helper is the absolute path of keeperlaunch.
	Helper string
	// Spare is how many held children are kept ready; at least 1.
	Spare int
	// CgroupParent is the cgroup below which launch groups are made, as a
	// directory; empty lets the launcher look for a writable one.
	CgroupParent string
}

// Host is every port of one operating system. Where one does not exist there,
// its methods answer errors.ErrUnsupported.
type Host struct {
	Files     core.Files
	Launcher  core.Launcher
	Tree      core.ProcessTree
	Terminals core.Terminals
	Transport core.LocalTransport
	Accounts  core.Accounts
	Peers     core.Peers
	// ProtectedRoot reports nil when path, absolute and without links, can be
	// the agent root: a directory that administrators alone can change, as
	// can all above it, sticky ones of root's apart. The error wraps
	// core.ErrNotProtected and names component, fault and remedy.
	ProtectedRoot func(path string) error
	// Close ends what the ports keep running. It is called once, last.
	Close func() error
}

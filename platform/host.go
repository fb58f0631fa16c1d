package platform

import (
	"io"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Options says what the ports need to know about this installation.
type Options struct {
	// AgentRoot is the service's directory, absolute and without links. What
	// lies in it may be Protected below sticky directories of root's.
	AgentRoot string
	// Helper is the absolute path of keeperlaunch.
	Helper string
	// Reader is the absolute path of keeperreader.
	Reader string
	// Spare is how many held children are kept ready, 0 to 64.
	Spare int
	// CgroupParent is the directory of the cgroup below which launch groups
	// are made; empty means one of this service's own, where there is cgroup
	// version 2 and it may be written to.
	CgroupParent string
}

// Host is every port of one operating system. Where one does not exist there,
// its methods answer errors.ErrUnsupported.
type Host struct {
	// Name is the system as plugin and job files name it: "Linux", "Windows"
	// or "macOS".
	Name string
	// ProgramSuffix is ".exe" where programs have one.
	ProgramSuffix string
	// Signals are the numbers of those that a caller may forward to its
	// command: HUP, INT, QUIT, TERM, USR1, USR2, ALRM, CONT and WINCH.
	Signals []int

	Files     port.Files
	Launcher  port.Launcher
	Tree      port.ProcessTree
	Terminals port.Terminals
	Transport port.LocalTransport
	Accounts  port.Accounts
	Peers     port.Peers
	Programs  port.Programs
	System    port.SystemSignatures
	Confiner  port.Confiner
	// Store holds certificates with keys that the system keeps.
	Store port.CertificateStore
	// ProtectedRoot reports nil when path, absolute and without links, can be
	// the agent root: a directory that administrators alone can change, as
	// can all above it, sticky ones of root's apart. The error wraps
	// core.ErrNotProtected and names component, fault and remedy.
	ProtectedRoot func(path string) error
	// Private reports nil when administrators alone can read f, a regular file.
	// The error wraps core.ErrNotProtected and names the fault and the remedy.
	Private func(f *os.File) error
	// Lock takes the lock file at path until the result is closed. It does not
	// wait.
	Lock func(path string) (io.Closer, error)
	// PortOwner says who listens on a TCP port, for an error message.
	PortOwner func(port int) (pid int, user core.UserID, err error)
	// Close ends what the ports keep running. It is called once, last.
	Close func() error
}

// Package darwin will make the ports of core real on macOS. Until then it lets the
// portable rooms be built and checked there: every port answers
// errors.ErrUnsupported, so nothing is launched and nobody is identified.
package darwin

import (
	"context"
	"errors"
	"io"
	"net"
	"os"

	"kpm/core"
)

// Files implements core.Files.
type Files struct{}

var _ core.Files = Files{}

// Find implements core.Files.
func (Files) Find(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Locate implements core.Files.
func (Files) Locate(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// LocateProtected implements core.Files.
func (Files) LocateProtected(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Inspect implements core.Files.
func (Files) Inspect(*os.File) (core.FileInfo, error) {
	return core.FileInfo{}, errors.ErrUnsupported
}

// Protected implements core.Files.
func (Files) Protected(*os.File) error { return errors.ErrUnsupported }

// ProtectedRoot reports whether path can be the agent root.
func (Files) ProtectedRoot(string) error { return errors.ErrUnsupported }

// Open implements core.Files.
func (Files) Open(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// Copy implements core.Files.
func (Files) Copy(context.Context, *os.File, string, string, core.Account) (*os.File, string, error) {
	return nil, "", errors.ErrUnsupported
}

// WriteAtomic implements core.Files.
func (Files) WriteAtomic(string, []byte, os.FileMode) error { return errors.ErrUnsupported }

// Launcher implements core.Launcher.
type Launcher struct{}

var _ core.Launcher = Launcher{}

// Prepare implements core.Launcher.
func (Launcher) Prepare(context.Context, core.LaunchSpec) (core.Held, error) {
	return nil, errors.ErrUnsupported
}

// Tree implements core.ProcessTree.
type Tree struct{}

var _ core.ProcessTree = Tree{}

// Self implements core.ProcessTree. The start stamp is not known.
func (Tree) Self() core.ProcessID { return core.ProcessID{PID: os.Getpid()} }

// Alive implements core.ProcessTree.
func (Tree) Alive(core.ProcessID) bool { return false }

// Member implements core.ProcessTree.
func (Tree) Member(core.ProcessID, string, core.ProcessID) bool { return false }

// Empty implements core.ProcessTree. Nothing is launched here.
func (Tree) Empty(core.ProcessID, string) bool { return true }

// KillGroup implements core.ProcessTree.
func (Tree) KillGroup(core.ProcessID, string) (int, error) { return 0, errors.ErrUnsupported }

// Terminals implements core.Terminals.
type Terminals struct{}

var _ core.Terminals = Terminals{}

// IsTerminal implements core.Terminals.
func (Terminals) IsTerminal(*os.File) bool { return false }

// Open implements core.Terminals.
func (Terminals) Open(core.Account, uint16, uint16) (master, slave *os.File, err error) {
	return nil, nil, errors.ErrUnsupported
}

// Transport implements core.LocalTransport.
type Transport struct{}

var _ core.LocalTransport = Transport{}

// ListenDoor implements core.LocalTransport.
func (Transport) ListenDoor(string) (core.DoorListener, error) { return nil, errors.ErrUnsupported }

// ListenLocal implements core.LocalTransport.
func (Transport) ListenLocal(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// Peers implements core.Peers.
type Peers struct{}

var _ core.Peers = Peers{}

// Peer implements core.Peers.
func (Peers) Peer(net.Conn) (core.Peer, error) { return core.Peer{}, errors.ErrUnsupported }

// Accounts implements core.Accounts.
type Accounts struct{}

var _ core.Accounts = Accounts{}

// ByID implements core.Accounts.
func (Accounts) ByID(core.UserID) (core.Account, error) {
	return core.Account{}, errors.ErrUnsupported
}

// ByName implements core.Accounts.
func (Accounts) ByName(string) (core.Account, error) { return core.Account{}, errors.ErrUnsupported }

// Lock takes a lock file.
func Lock(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

// PortOwner says who listens on a TCP port.
func PortOwner(int) (int, core.UserID, error) { return 0, "", errors.ErrUnsupported }

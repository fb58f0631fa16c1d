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
	"kpm/core/port"
)

// Files implements port.Files.
type Files struct{}

var _ port.Files = Files{}

// Find implements port.Files.
func (Files) Find(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Locate implements port.Files.
func (Files) Locate(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// LocateProtected implements port.Files.
func (Files) LocateProtected(string) (*os.File, error) { return nil, errors.ErrUnsupported }

// Inspect implements port.Files.
func (Files) Inspect(*os.File) (port.FileInfo, error) {
	return port.FileInfo{}, errors.ErrUnsupported
}

// Protected implements port.Files.
func (Files) Protected(*os.File) error { return errors.ErrUnsupported }

// ProtectedRoot reports whether path can be the agent root.
func (Files) ProtectedRoot(string) error { return errors.ErrUnsupported }

// Open implements port.Files.
func (Files) Open(*os.File) (*os.File, error) { return nil, errors.ErrUnsupported }

// Copy implements port.Files.
func (Files) Copy(context.Context, *os.File, string, string, core.Account) (*os.File, string, error) {
	return nil, "", errors.ErrUnsupported
}

// WriteAtomic implements port.Files.
func (Files) WriteAtomic(string, []byte, os.FileMode) error { return errors.ErrUnsupported }

// Launcher implements port.Launcher.
type Launcher struct{}

var _ port.Launcher = Launcher{}

// Prepare implements port.Launcher.
func (Launcher) Prepare(context.Context, port.LaunchSpec) (port.Held, error) {
	return nil, errors.ErrUnsupported
}

// Tree implements port.ProcessTree.
type Tree struct{}

var _ port.ProcessTree = Tree{}

// Self implements port.ProcessTree. The start stamp is not known.
func (Tree) Self() core.ProcessID { return core.ProcessID{PID: os.Getpid()} }

// Alive implements port.ProcessTree.
func (Tree) Alive(core.ProcessID) bool { return false }

// Member implements port.ProcessTree.
func (Tree) Member(core.ProcessID, string, core.ProcessID) bool { return false }

// Empty implements port.ProcessTree. Nothing is launched here.
func (Tree) Empty(core.ProcessID, string) bool { return true }

// KillGroup implements port.ProcessTree.
func (Tree) KillGroup(core.ProcessID, string) (int, error) { return 0, errors.ErrUnsupported }

// Terminals implements port.Terminals.
type Terminals struct{}

var _ port.Terminals = Terminals{}

// IsTerminal implements port.Terminals.
func (Terminals) IsTerminal(*os.File) bool { return false }

// Open implements port.Terminals.
func (Terminals) Open(core.Account, uint16, uint16) (master, slave *os.File, err error) {
	return nil, nil, errors.ErrUnsupported
}

// Transport implements port.LocalTransport.
type Transport struct{}

var _ port.LocalTransport = Transport{}

// ListenDoor implements port.LocalTransport.
func (Transport) ListenDoor(string) (port.DoorListener, error) { return nil, errors.ErrUnsupported }

// ListenLocal implements port.LocalTransport.
func (Transport) ListenLocal(string) (net.Listener, error) { return nil, errors.ErrUnsupported }

// Peers implements port.Peers.
type Peers struct{}

var _ port.Peers = Peers{}

// Peer implements port.Peers.
func (Peers) Peer(net.Conn) (core.Peer, error) { return core.Peer{}, errors.ErrUnsupported }

// Accounts implements port.Accounts.
type Accounts struct{}

var _ port.Accounts = Accounts{}

// ByID implements port.Accounts.
func (Accounts) ByID(core.UserID) (core.Account, error) {
	return core.Account{}, errors.ErrUnsupported
}

// ByName implements port.Accounts.
func (Accounts) ByName(string) (core.Account, error) { return core.Account{}, errors.ErrUnsupported }

// Lock takes a lock file.
func Lock(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

// PortOwner says who listens on a TCP port.
func PortOwner(int) (int, core.UserID, error) { return 0, "", errors.ErrUnsupported }

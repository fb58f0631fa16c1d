//go:build windows

package pipe

import (
	"fmt"

	"golang.org/x/sys/windows"
)

// PairSecurity is who may open a pair's pipe: administrators, who own it.
const PairSecurity = "O:BAG:BAD:P(A;;GA;;;SY)(A;;GA;;;BA)"

// Pair makes a connection of which both ends are here. Ours has deadlines; theirs
// is a handle that blocks and is inheritable, for a process that is created with
// it. The caller closes both.
//
// Attack: somebody else makes a pipe of the name before, or connects to it first.
// The name is not guessed, the pipe has one instance, administrators alone can
// open it, and whoever has connected must be this process.
func Pair() (ours *Conn, theirs windows.Handle, err error) {
	name := newName()
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, 0, err
	}
	security, err := attributes(PairSecurity)
	if err != nil {
		return nil, 0, err
	}
	// learn.microsoft.com, "CreateNamedPipeW"
	const (
		flags = windows.PIPE_ACCESS_DUPLEX | windows.FILE_FLAG_OVERLAPPED | windows.FILE_FLAG_FIRST_PIPE_INSTANCE
		mode  = windows.PIPE_TYPE_BYTE | windows.PIPE_READMODE_BYTE | windows.PIPE_WAIT | windows.PIPE_REJECT_REMOTE_CLIENTS
	)
	server, err := windows.CreateNamedPipe(wide, flags, mode, 1, bufferSize, bufferSize, 0, security)
	if err != nil {
		return nil, 0, fmt.Errorf("make a pipe: %w", err)
	}
	// Inheritable from the start: every process that is created meanwhile has a
	// list of the handles that it gets.
	inheritable := &windows.SecurityAttributes{Length: security.Length, InheritHandle: 1}
	theirs, err = windows.CreateFile(wide, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, inheritable, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		windows.CloseHandle(server)
		return nil, 0, fmt.Errorf("open the pipe: %w", err)
	}
	// learn.microsoft.com, "GetNamedPipeClientProcessId"
	var client uint32
	if err = windows.GetNamedPipeClientProcessId(server, &client); err == nil && client != windows.GetCurrentProcessId() {
		err = fmt.Errorf("process %d is at the other end of the pipe: %w", client, ErrImpostor)
	}
	if err != nil {
		windows.CloseHandle(theirs)
		windows.CloseHandle(server)
		return nil, 0, err
	}
	return newConn(server, name), theirs, nil
}

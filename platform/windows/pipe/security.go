//go:build windows

package pipe

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Security is who may do what with the pipes: administrators, who own them, all;
// whoever is logged in, connect, read, write, and see who owns them
// (FILE_GENERIC_READ, FILE_WRITE_DATA, FILE_WRITE_EA, FILE_WRITE_ATTRIBUTES).
//
// Attack: with FILE_CREATE_PIPE_INSTANCE, which is part of GENERIC_WRITE, a user
// adds an instance of their own to the pipe, and has callers connect to that.
// Processes of low integrity and app containers find no place in the list, and
// no label lets them write up.
const Security = "O:BAG:BAD:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;0x12019b;;;AU)"

// clientAccess is what a client asks for, and all that a plain user is given.
const clientAccess = 0x12019b

// createInstance is FILE_CREATE_PIPE_INSTANCE (learn.microsoft.com, "Named Pipe
// Security and Access Rights").
const createInstance = 0x4

// attributes are a descriptor's, for handles that nobody inherits.
func attributes(sddl string) (*windows.SecurityAttributes, error) {
	descriptor, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	return &windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}, nil
}

// administratorsOwn reports nil if administrators own the pipe that a handle is
// connected to (learn.microsoft.com, "GetSecurityInfo"). Nobody else can make one
// of which that is so.
func administratorsOwn(pipe windows.Handle) error {
	descriptor, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	owner, _, err := descriptor.Owner()
	if err != nil {
		return fmt.Errorf("owner: %w", err)
	}
	if owner == nil || !owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) && !owner.IsWellKnown(windows.WinLocalSystemSid) {
		return fmt.Errorf("it belongs to %s: %w", owner, ErrImpostor)
	}
	return nil
}

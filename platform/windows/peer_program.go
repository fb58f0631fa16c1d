//go:build windows

package windows

import (
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"

	"kpm/core"
)

// Program implements port.Peers. It goes through a handle of the process, whose
// start stamp is compared: as long as that is open its pid is nobody else's
// (CVE-2019-6133).
//
// Attack: Windows names a running program by the path that it was started from. A
// user starts a program of their own, renames it while it runs, and puts a signed
// one in its place. So there is an answer only where administrators alone could
// have done that, on the whole way to the file: for any other program it is
// core.ErrNotProtected.
func (Peers) Program(id core.ProcessID) (*os.File, error) {
	process, ok := openExactly(id, windows.PROCESS_QUERY_LIMITED_INFORMATION)
	if !ok {
		return nil, fmt.Errorf("program: process %s has ended: %w", id, fs.ErrNotExist)
	}
	defer windows.CloseHandle(process)
	path, err := imagePath(process)
	if err != nil {
		return nil, fmt.Errorf("program of process %s: %w", id, err)
	}
	found, err := Files{}.LocateProtected(path)
	if err != nil {
		return nil, fmt.Errorf("program of process %s: Windows knows it by its path alone, which counts only if administrators alone can change what lies there: %w", id, err)
	}
	defer found.Close()
	f, err := Files{}.Open(found)
	if err != nil {
		return nil, fmt.Errorf("program of process %s: %w", id, err)
	}
	// learn.microsoft.com, "WaitForSingleObject": one that has ended says nothing
	// of what it may ask for.
	if state, err := windows.WaitForSingleObject(process, 0); err != nil || state != uint32(windows.WAIT_TIMEOUT) {
		f.Close()
		return nil, fmt.Errorf("program: process %s has ended: %w", id, fs.ErrNotExist)
	}
	return f, nil
}

// imagePath is where the program of a process lay when it was started
// (learn.microsoft.com, "QueryFullProcessImageNameW").
func imagePath(process windows.Handle) (string, error) {
	buffer := make([]uint16, 32768)
	n := uint32(len(buffer))
	if err := windows.QueryFullProcessImageName(process, 0, &buffer[0], &n); err != nil {
		return "", fmt.Errorf("image of the program: %w", err)
	}
	return windows.UTF16ToString(buffer[:n]), nil
}

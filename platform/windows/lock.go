//go:build windows

package windows

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/windows"
)

// Lock implements port.Storage: nobody else can open the file while it is held.
// The lock ends with this process.
func (Files) Lock(path string) (io.Closer, error) {
	lock, err := create(path, windows.OPEN_ALWAYS, 0, privateFile)
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, fmt.Errorf("lock %s: another process has it: %w", path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return lock, nil
}

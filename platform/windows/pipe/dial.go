//go:build windows

package pipe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows"
)

// ErrImpostor is wrapped when somebody else than administrators listens.
var ErrImpostor = errors.New("whoever listens is not the service")

// busyPause is how long a client waits until it tries again, when all instances
// of the pipe are taken. WaitNamedPipe would wait in a thread.
const busyPause = 2 * time.Millisecond

// Dial connects to the pipe that path stands for. It waits until one of its
// instances is free. Errors wrap ErrAddress, ErrImpostor, fs.ErrNotExist where
// nobody listens, or ctx's error.
//
// Attack: whoever listens acts as the client. At the level of identification it
// can see who the client is, and open nothing in their name (learn.microsoft.com,
// "CreateFileW", SECURITY_SQOS_PRESENT).
func Dial(ctx context.Context, path string) (*Conn, error) {
	name, err := readAddress(path)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	const flags = windows.FILE_FLAG_OVERLAPPED | windows.SECURITY_SQOS_PRESENT | windows.SECURITY_IDENTIFICATION
	for {
		handle, err := windows.CreateFile(wide, clientAccess, 0, nil, windows.OPEN_EXISTING, flags, 0)
		switch {
		case err == nil:
			if err := administratorsOwn(handle); err != nil {
				windows.CloseHandle(handle)
				return nil, fmt.Errorf("connect %s: %w", path, err)
			}
			return newConn(handle, name), nil
		case err != windows.ERROR_PIPE_BUSY:
			return nil, fmt.Errorf("connect %s: %w", path, err)
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("connect %s: %w", path, ctx.Err())
		}
	}
}

//go:build !windows

package sdk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// fullQueueTries are made, fullQueuePause apart, at a socket whose queue is full.
const (
	fullQueueTries = 1000
	fullQueuePause = 5 * time.Millisecond
)

// maxSocketPath is less than what every system allows a socket's address.
const maxSocketPath = 100

func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	if path == "" {
		return nil, fmt.Errorf("sdk: %w", ErrNoSocket)
	}
	if len(path) > maxSocketPath {
		// An agent root may be deep. The directory's descriptor makes the
		// address short.
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("sdk: %w", err)
		}
		defer dir.Close()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	for tries := 0; errors.Is(err, syscall.EAGAIN) && tries < fullQueueTries; tries++ {
		// Others keep the queue of those who want to connect full.
		select {
		case <-time.After(fullQueuePause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		conn, err = new(net.Dialer).DialContext(ctx, "unix", path)
	}
	if err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	return conn, nil
}

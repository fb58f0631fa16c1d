package sdk

import (
	"context"
	"fmt"
	"net"

	"kpm/platform/windows/pipe"
)

// dialSocket connects to the named pipe of which the file at path holds the name.
func dialSocket(ctx context.Context, path string) (net.Conn, error) {
	if path == "" {
		return nil, fmt.Errorf("sdk: %w", ErrNoSocket)
	}
	conn, err := pipe.Dial(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("sdk: %w", err)
	}
	return conn, nil
}

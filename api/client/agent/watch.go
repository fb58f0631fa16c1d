package agent

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"kpm/core/view"
	"kpm/core/wire"
)

// streamer reads server-sent events. client.Client is one.
type streamer interface {
	Stream(ctx context.Context, path string, each func(name string, data []byte) error) error
}

// watches shows notices until the person ends it, or the service does.
func (a *agent) watches(ctx context.Context, from streamer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := from.Stream(ctx, "/api/notices", func(_ string, data []byte) error {
		if a.json {
			return a.print("%s\n", wire.Printable(string(data)))
		}
		var one view.Notice
		if err := json.Unmarshal(data, &one); err != nil {
			return err
		}
		return a.print("%s\n", wire.PrintableLine(one.Text))
	})
	switch {
	case errors.Is(err, context.Canceled):
		return nil
	case err == nil:
		return errors.New("the service has stopped")
	}
	return err
}

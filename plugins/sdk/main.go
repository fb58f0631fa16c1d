package sdk

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main runs a plugin or task and returns its exit code: it connects, calls run,
// and closes. run's context ends on SIGTERM or an interrupt, which is an
// orderly end, and when the agent is gone for good, which is not. A hangup ends
// nothing.
func Main(cfg Config, run func(ctx context.Context, a *Agent) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	if err := runAgent(ctx, cfg, run); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", cfg.ID, err)
		return 1
	}
	return 0
}

func runAgent(ctx context.Context, cfg Config, run func(ctx context.Context, a *Agent) error) error {
	a, err := Start(ctx, cfg)
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-a.Done():
			cancel()
		case <-running.Done():
		}
	}()
	err = run(running, a)
	cancel()
	<-watched
	gone := a.gone()
	a.Close()
	if ctx.Err() != nil {
		return nil // asked to end: whatever run says of its context
	}
	if err == nil {
		err = gone
	}
	return err
}

// gone returns why the agent gave up, if it has.
func (a *Agent) gone() error {
	select {
	case <-a.done:
		return a.err
	default:
		return nil
	}
}

package plugins

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
)

// Service is a plugin that is a part of this program (pluginType Service). It
// runs until ctx is done. Coming back earlier is an exit, and an error a failure.
type Service func(ctx context.Context) error

// part is a Service that runs, as a process: what supervises it need not know
// the difference.
type part struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu      sync.Mutex
	failure error
}

var _ port.Process = (*part)(nil)

// startPart runs a Service.
func startPart(run Service) *part {
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer cancel()
		err := guarded(ctx, run)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.failure = err
	}()
	return p
}

// guarded turns a panic of a part into its failure: the others live on.
func guarded(ctx context.Context, run Service) (err error) {
	defer func() {
		if what := recover(); what != nil {
			err = fmt.Errorf("panic: %v", what)
		}
	}()
	return run(ctx)
}

// ID implements port.Process: a part lives in this process.
func (p *part) ID() core.ProcessID { return core.ProcessID{PID: os.Getpid()} }

// End implements port.Process.
func (p *part) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

// Wait implements port.Process.
func (p *part) Wait(ctx context.Context) (core.ExitStatus, error) {
	select {
	case <-p.ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.failure != nil {
			return core.ExitStatus{Code: 1}, nil
		}
		return core.ExitStatus{}, nil
	case <-ctx.Done():
		return core.ExitStatus{}, ctx.Err()
	}
}

// Signal implements port.Process: a part can be asked to end, and nothing else.
func (p *part) Signal(s signal.Signal) error {
	if s != signal.Terminate {
		return errors.ErrUnsupported
	}
	p.cancel()
	return nil
}

// Kill implements port.Process. A part that does not end when it is asked to
// cannot be ended.
func (p *part) Kill() error {
	p.cancel()
	return nil
}

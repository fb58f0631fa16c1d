package service

import (
	"context"

	"kpm/core/port"
	"kpm/core/reserve"
	"kpm/plugins/store"
	"kpm/trust"
)

// ahead is something that a later room needs, made beside the earlier ones: a start
// waits for disks and for other processes, and has more than one processor.
type ahead[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// begin begins to make it. When the service stops, undo gets what was made, whether
// somebody has taken it or not.
func begin[T any](s *service, produce func() (T, error), undo func(context.Context, T) error) *ahead[T] {
	a := &ahead[T]{done: make(chan struct{})}
	go func() {
		defer close(a.done)
		reserve.Stack()
		a.value, a.err = produce()
	}()
	s.onStop(func(ctx context.Context) error {
		value, err := a.take()
		if err != nil {
			return nil // whoever takes it says so
		}
		return undo(ctx, value)
	})
	return a
}

// take waits for it.
func (a *ahead[T]) take() (T, error) {
	<-a.done
	return a.value, a.err
}

// opening is what is made ahead.
type opening struct {
	ports       *ahead[port.Host]
	journal     *ahead[struct{}] // that its start is on the disk
	certificate *ahead[*trust.ServerCertificate]
	kept        *ahead[*store.Store]
}

// beginPorts begins to open this machine's ports. They are closed last.
func (s *service) beginPorts(o Options) {
	s.ahead.ports = begin(s, o.Ports, func(_ context.Context, host port.Host) error { return host.Close() })
}

// beginAhead begins what needs the settings of the service and nothing else.
func (s *service) beginAhead(context.Context, Options) error {
	s.ahead.kept = begin(s, func() (*store.Store, error) { return store.Open(s.layout.Settings()) },
		func(_ context.Context, kept *store.Store) error { return kept.Close() })
	return nil
}

// takePorts waits for this machine's ports, and begins what needs them and nothing
// else.
func (s *service) takePorts(context.Context, Options) (err error) {
	if s.host, err = s.ahead.ports.take(); err != nil {
		return err
	}
	for _, note := range s.host.Facts.Notes {
		s.log.Warn("this machine lacks something", "what", note)
	}
	s.health = newHealth(s.obstacles, s.lapses, s.host.Service, s.log.With("component", "health"))
	s.ahead.certificate = begin(s, s.makeCertificate, func(context.Context, *trust.ServerCertificate) error { return nil })
	return nil
}

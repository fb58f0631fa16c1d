package service

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"kpm/core"
	"kpm/core/logentry"
	"kpm/core/wire"
)

// Times and sizes of the service's own way to KeeperLogger. What a warning is
// about may be the bus itself: so nothing waits for room, and no more than
// shipAtOnce go out in each shipEvery, however many there are.
const (
	shipQueue  = 256
	shipAtOnce = 32
	shipEvery  = 200 * time.Millisecond
	shipBytes  = 16 << 10 // of one record
	maxShipped = 4 << 10  // of its message, if it is longer
)

// shipper publishes the service's own warnings for KeeperLogger: they are kept
// until somebody listens, and counted when there are too many.
type shipper struct {
	queue chan wire.RequestMessage
	lost  atomic.Uint64
	// heard reports whether anybody receives what is published on a topic.
	heard   func(topic string) bool
	publish func(ctx context.Context, topic string, m wire.RequestMessage) error
}

func newShipper() *shipper { return &shipper{queue: make(chan wire.RequestMessage, shipQueue)} }

// warnings is a level that is never below Warning: what the service says beyond
// that may be about each message on the bus, these records included.
type warnings struct{ slog.Leveler }

func (w warnings) Level() slog.Level { return max(w.Leveler.Level(), slog.LevelWarn) }

// handler returns the slog.Handler of warnings at this level.
func (s *shipper) handler(level slog.Leveler) slog.Handler {
	return logentry.New(warnings{level}, s.add)
}

// add never blocks.
func (s *shipper) add(at time.Time, entry wire.LogEntry) {
	m, err := wire.New(wire.TypeLog, core.ServicePrincipal().String(), entry)
	if err == nil && len(m.Payload) > shipBytes {
		short := wire.LogEntry{Level: entry.Level, Message: cut(entry.Message, maxShipped) + " (its fields are too long)"}
		m, err = wire.New(wire.TypeLog, core.ServicePrincipal().String(), short)
	}
	if err != nil {
		s.lost.Add(1)
		return
	}
	if !at.IsZero() {
		m.Timestamp = at.UTC()
	}
	select {
	case s.queue <- m:
	default:
		s.lost.Add(1)
	}
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// run publishes until ctx is done.
func (s *shipper) run(ctx context.Context) {
	for {
		select {
		case m := <-s.queue:
			if !s.deliver(ctx, m) {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// deliver publishes m, once somebody listens, and what waits behind it, and then
// rests. It reports whether there is more to do.
func (s *shipper) deliver(ctx context.Context, m wire.RequestMessage) bool {
	for !s.heard(wire.TopicLogger) {
		if !rest(ctx, shipEvery) {
			return false
		}
	}
	s.say(ctx, m)
	for range shipAtOnce - 1 {
		select {
		case m := <-s.queue:
			s.say(ctx, m)
			continue
		default:
		}
		break
	}
	if n := s.lost.Swap(0); n > 0 {
		m, err := wire.New(wire.TypeLog, core.ServicePrincipal().String(), wire.LogEntry{
			Level: "Warning", Message: "records of the service were lost on the way here; its own log has them", Fields: map[string]any{"records": n}})
		if err != nil || s.publish(ctx, wire.TopicLogger, m) != nil {
			s.lost.Add(n)
		}
	}
	return rest(ctx, shipEvery)
}

// say publishes one record. That this fails is not logged: it would come here.
func (s *shipper) say(ctx context.Context, m wire.RequestMessage) {
	if s.publish(ctx, wire.TopicLogger, m) != nil {
		s.lost.Add(1)
	}
}

// rest waits, and reports whether ctx still holds.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

package sdk

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"kpm/core/wire"
)

// Times and sizes of the way to KeeperLogger.
const (
	logQueue = 512
	logDelay = 100 * time.Millisecond
	logRetry = 200 * time.Millisecond
)

// shipper sends log records behind everyone's back. What does not fit into its
// queue is counted, and the count is sent.
type shipper struct {
	agent *Agent
	queue chan wire.RequestMessage
	lost  atomic.Uint64
	quit  chan struct{}
	ended chan struct{}
}

func newShipper(a *Agent) *shipper {
	return &shipper{agent: a, queue: make(chan wire.RequestMessage, logQueue), quit: make(chan struct{}), ended: make(chan struct{})}
}

// add never blocks.
func (s *shipper) add(level slog.Level, at time.Time, entry wire.LogEntry) {
	entry.Level = levelName(level)
	m, err := wire.New(wire.TypeLog, s.agent.cfg.ID, entry)
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

func (s *shipper) run() {
	defer close(s.ended)
	for {
		select {
		case <-s.quit:
			s.drain()
			return
		case m := <-s.queue:
			s.pause(logDelay)
			for !s.send(m) {
				if s.pause(logRetry) {
					return // the agent ends and nobody takes the record
				}
			}
			s.drain()
		}
	}
}

// drain sends what is queued, as far as there is a connection.
func (s *shipper) drain() {
	for {
		select {
		case m := <-s.queue:
			if !s.send(m) {
				s.lost.Add(1)
				return
			}
		default:
			if n := s.lost.Swap(0); n > 0 {
				m, err := wire.New(wire.TypeLog, s.agent.cfg.ID, wire.LogEntry{Level: "Warning", Message: "log records were lost", Fields: map[string]any{"records": n}})
				if err != nil || !s.send(m) {
					s.lost.Add(n)
				}
			}
			return
		}
	}
}

func (s *shipper) send(m wire.RequestMessage) bool {
	return s.agent.Publish(wire.TopicLogger, m) == nil
}

// pause waits and reports whether it was told to stop.
func (s *shipper) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.quit:
		return true
	}
}

// stop sends what is left and waits until run has ended.
func (s *shipper) stop() {
	close(s.quit)
	<-s.ended
}

// levelName maps slog's levels to those of docs/wire.md.
func levelName(l slog.Level) string {
	switch {
	case l < slog.LevelDebug:
		return "Trace"
	case l < slog.LevelInfo:
		return "Debug"
	case l < slog.LevelWarn:
		return "Information"
	case l < slog.LevelError:
		return "Warning"
	case l < slog.LevelError+4:
		return "Error"
	}
	return "Critical"
}

// logHandler is the slog.Handler in front of a shipper. Groups become dotted
// prefixes.
type logHandler struct {
	shipper *shipper
	level   slog.Level
	prefix  string
	attrs   []slog.Attr // with their prefixes
}

var _ slog.Handler = (*logHandler)(nil)

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	fields := make(map[string]any, len(h.attrs)+r.NumAttrs())
	for _, a := range h.attrs {
		addField(fields, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, h.prefix, a)
		return true
	})
	h.shipper.add(r.Level, r.Time, wire.LogEntry{Message: r.Message, Fields: fields})
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]slog.Attr{}, h.attrs...)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.prefix += name + "."
	return &next
}

// addField puts values into fields in a form that always becomes JSON.
func addField(fields map[string]any, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			addField(fields, prefix, member)
		}
		return
	case slog.KindBool, slog.KindInt64, slog.KindUint64, slog.KindString:
		fields[prefix+a.Key] = v.Any()
	case slog.KindTime:
		fields[prefix+a.Key] = v.Time().UTC().Format(time.RFC3339Nano)
	default:
		if list, ok := v.Any().([]string); ok {
			fields[prefix+a.Key] = list
			return
		}
		fields[prefix+a.Key] = strings.ToValidUTF8(fmt.Sprint(v.Any()), "\ufffd")
	}
}

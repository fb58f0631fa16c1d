// Package logentry makes records for KeeperLogger of what is logged with
// log/slog, the same for plugins and for the service itself.
//
// It sends nothing: on which way a record goes, and what becomes of one that
// does not fit, is its owner's affair.
package logentry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"kpm/core/wire"
)

// Handler is a slog.Handler that hands records on. Groups become dotted
// prefixes.
type Handler struct {
	least  slog.Leveler
	take   func(at time.Time, entry wire.LogEntry)
	prefix string
	attrs  []slog.Attr // with their prefixes
}

var _ slog.Handler = (*Handler)(nil)

// New returns a Handler that hands every record of at least that level to take,
// which must not block.
func New(least slog.Leveler, take func(at time.Time, entry wire.LogEntry)) *Handler {
	return &Handler{least: least, take: take}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.least.Level() }

// Handle implements slog.Handler.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	fields := make(map[string]any, len(h.attrs)+r.NumAttrs())
	for _, a := range h.attrs {
		addField(fields, "", a)
	}
	r.Attrs(func(a slog.Attr) bool {
		addField(fields, h.prefix, a)
		return true
	})
	h.take(r.Time, wire.LogEntry{Level: levelName(r.Level), Message: r.Message, Fields: fields})
	return nil
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.attrs = append([]slog.Attr{}, h.attrs...)
	for _, a := range attrs {
		a.Key = h.prefix + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := *h
	next.prefix += name + "."
	return &next
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

// addField puts an attribute into fields in a form that always becomes JSON.
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

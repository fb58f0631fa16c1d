package service

import (
	"context"
	"io"
	"log/slog"

	"kpm/core/wire"
)

// newLog writes text lines, and hands warnings to also. What others wrote into a
// message or an error is made printable, or it could forge lines and move the
// reader's cursor.
func newLog(w io.Writer, level slog.Leveler, also slog.Handler) *slog.Logger {
	return slog.New(both{also, slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch v := a.Value.Any().(type) {
			case string:
				a.Value = slog.StringValue(wire.Printable(v))
			case error:
				a.Value = slog.StringValue(wire.PrintableLine(v.Error()))
			}
			return a
		},
	})})
}

// both is two handlers, of which the second is what people read.
type both struct{ also, text slog.Handler }

// Enabled implements slog.Handler.
func (b both) Enabled(ctx context.Context, l slog.Level) bool {
	return b.text.Enabled(ctx, l) || b.also.Enabled(ctx, l)
}

// Handle implements slog.Handler.
func (b both) Handle(ctx context.Context, r slog.Record) error {
	if b.also.Enabled(ctx, r.Level) {
		_ = b.also.Handle(ctx, r.Clone()) // it keeps what it cannot hand on
	}
	if !b.text.Enabled(ctx, r.Level) {
		return nil
	}
	return b.text.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (b both) WithAttrs(attrs []slog.Attr) slog.Handler {
	return both{b.also.WithAttrs(attrs), b.text.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (b both) WithGroup(name string) slog.Handler {
	return both{b.also.WithGroup(name), b.text.WithGroup(name)}
}

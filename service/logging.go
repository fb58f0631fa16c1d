package service

import (
	"io"
	"log/slog"

	"kpm/core/wire"
)

// newLog writes text lines. What others wrote into a message or an error is
// made printable, or it could forge lines and move the reader's cursor.
func newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch v := a.Value.Any().(type) {
			case string:
				a.Value = slog.StringValue(wire.Printable(v))
			case error:
				a.Value = slog.StringValue(wire.Printable(v.Error()))
			}
			return a
		},
	}))
}

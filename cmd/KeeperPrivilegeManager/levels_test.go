package main

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestLevelsForJournald(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(levelled(&b, true), &slog.HandlerOptions{
		Level: slog.LevelDebug - 4,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.String("time", "now")
			}
			return a
		},
	}))
	for _, level := range []slog.Level{slog.LevelError + 4, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, slog.LevelDebug - 4} {
		log.Log(t.Context(), level, "level=INFO is said")
	}
	const want = "<2>time=now level=ERROR+4 msg=\"level=INFO is said\"\n<3>time=now level=ERROR msg=\"level=INFO is said\"\n" +
		"<4>time=now level=WARN msg=\"level=INFO is said\"\n<6>time=now level=INFO msg=\"level=INFO is said\"\n" +
		"<7>time=now level=DEBUG msg=\"level=INFO is said\"\n<7>time=now level=DEBUG-4 msg=\"level=INFO is said\"\n"
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
	if levelled(&b, false) != &b {
		t.Error("lines that nobody at the other end understands")
	}
}

package settings

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
)

func port(key string, fallback int, set func(*App, int)) entry {
	e := number(key, fallback, 1024, 65535, set)
	inRange := e.set
	e.allowed = "0, " + e.allowed
	e.set = func(a *App, raw json.RawMessage) error {
		if string(raw) == "0" {
			set(a, 0)
			return nil
		}
		return inRange(a, raw)
	}
	return e
}

func number(key string, fallback, least, most int, set func(*App, int)) entry {
	return entry{key, fmt.Sprint(fallback), fmt.Sprintf("%d-%d", least, most), func(a *App, raw json.RawMessage) error {
		var n int
		if err := decode(raw, &n); err != nil || n < least || n > most {
			return errNotAllowed
		}
		set(a, n)
		return nil
	}}
}

func setLogLevel(a *App, raw json.RawMessage) error {
	var name string
	if err := decode(raw, &name); err != nil {
		return err
	}
	level, ok := ParseLevel(name)
	if !ok {
		return errNotAllowed
	}
	a.LogLevel = level
	return nil
}

// ParseLevel returns the level of a published name, in any letter case.
func ParseLevel(name string) (slog.Level, bool) {
	for level, known := range map[slog.Level]string{
		LevelTrace: "trace", slog.LevelDebug: "debug", slog.LevelInfo: "information",
		slog.LevelWarn: "warning", slog.LevelError: "error", LevelCritical: "critical",
	} {
		if strings.ToLower(name) == known {
			return level, true
		}
	}
	return 0, false
}

package task

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"kpm/core"
	"kpm/core/fault"
	"kpm/core/wire"
	"kpm/settings"
)

// LogMessage writes parameter "Message" to log, at "Level" (Information if
// there is none).
func LogMessage(log *slog.Logger) Command {
	return func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
		message, ok := params["Message"].(string)
		if !ok {
			return nil, errors.New("parameter Message: expected text")
		}
		level := slog.LevelInfo
		if name, ok := params["Level"]; ok {
			name, _ := name.(string)
			if level, ok = settings.ParseLevel(name); !ok {
				return nil, fmt.Errorf("parameter Level is %s, expected Trace, Debug, Information, Warning, Error or Critical", fault.Quote(name))
			}
		}
		log.Log(ctx, level, wire.Printable(message), "job", run.Name, "run", run.Run)
		return nil, nil
	}
}

package task

import (
	"context"

	"kpm/core"
)

// Echo returns its parameters: with MergeStdoutJsonIntoContext they become
// context.
func Echo(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
	return params, nil
}

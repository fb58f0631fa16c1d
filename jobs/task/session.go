package task

import (
	"context"
	"errors"
	"fmt"
)

// errUnsupported is why a task that needs a user's session fails.
var errUnsupported = errors.New("is not supported yet")

// Session is a kind of task that runs in a user's session. Such a task fails
// when its turn comes, so that a job that has one in a branch that is not taken
// still runs.
func Session(executionType string) Kind {
	return Kind{Type: executionType, Compile: func(*Source) Task { return session(executionType) }}
}

type session string

func (t session) Run(context.Context, Run) (map[string]any, error) {
	return nil, fmt.Errorf("ExecutionType %s %w", string(t), errUnsupported)
}

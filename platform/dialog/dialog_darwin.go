package dialog

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/platform/darwin/tool"
)

// Show shows q by osascript until it is answered or closed, or ctx ends. An error means
// that nobody has answered.
func Show(ctx context.Context, q dialog.Question) (dialog.Answer, error) {
	argv, script := tool.ShowDialog(&q)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.WaitDelay = "/", tool.Environment(), strings.NewReader(script), time.Second
	var output, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &said
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return dialog.Answer{}, ctx.Err()
	case err != nil && (!errors.As(err, &exit) || !exit.Exited()):
		return dialog.Answer{Outcome: dialog.Declined}, nil // it was killed
	}
	text, err := tool.ParseAnswer(output.String(), said.String(), cmd.ProcessState.ExitCode())
	switch {
	case errors.Is(err, core.ErrCancelled):
		return dialog.Answer{Outcome: dialog.Declined}, nil
	case err != nil:
		return dialog.Answer{Outcome: dialog.Unavailable, Text: err.Error()}, nil
	}
	return tool.DialogAnswer(q.Kind, text), nil
}

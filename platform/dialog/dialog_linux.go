package dialog

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"time"

	"kpm/core/dialog"
	"kpm/platform/linux/desktop"
)

// maxPrinted bounds what is kept of what a program prints, in bytes.
const maxPrinted = 64 << 10

// Show shows q until it is answered or closed, or ctx ends. An error means that the
// dialog could not be carried to its end: nobody has answered.
func Show(ctx context.Context, q dialog.Question) (dialog.Answer, error) {
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return unavailable("no display is known for this session"), nil
	}
	for _, tool := range desktop.Tools() {
		if info, err := os.Stat(tool.Path); err != nil || !info.Mode().IsRegular() {
			continue
		}
		return run(ctx, tool, &q)
	}
	return unavailable("there is no program that shows dialogs: install zenity, kdialog or yad"), nil
}

func unavailable(why string) dialog.Answer {
	return dialog.Answer{Outcome: dialog.Unavailable, Text: why}
}

func run(ctx context.Context, tool desktop.Tool, q *dialog.Question) (dialog.Answer, error) {
	args, input := tool.Command(q)
	cmd := exec.CommandContext(ctx, tool.Path, args...)
	cmd.Dir, cmd.Stdin, cmd.WaitDelay = "/", strings.NewReader(input), time.Second
	var output, said printed
	cmd.Stdout, cmd.Stderr = &output, &said
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return dialog.Answer{}, ctx.Err()
	case err != nil && !errors.As(err, &exit):
		return unavailable(err.Error()), nil
	case err != nil && desktop.NoDisplay(said.String()):
		return unavailable("the session's display cannot be opened"), nil
	}
	return tool.Answer(q.Kind, cmd.ProcessState.ExitCode(), output.String()), nil
}

// printed keeps the beginning of what is written to it.
type printed struct{ bytes.Buffer }

// Write implements io.Writer.
func (p *printed) Write(b []byte) (int, error) {
	p.Buffer.Write(b[:min(len(b), maxPrinted-p.Len())])
	return len(b), nil
}

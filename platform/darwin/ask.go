//go:build unix

package darwin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"kpm/platform/darwin/tool"
)

// askTime bounds one question to a tool; a directory that does not answer by then
// has no answer. maxAnswer bounds what is read, in bytes.
const (
	askTime   = 2 * time.Second
	maxAnswer = 8 << 20
)

// said is what a tool answered.
type said struct {
	output []byte
	errors string
	status int
}

// ask runs a tool of the system, in a process group of its own and with nothing of
// ours but what it is told. An error means that there is no answer.
func ask(ctx context.Context, within time.Duration, argv []string, input string) (said, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", tool.Environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Stdin = strings.NewReader(input)
	output, faults := &bounded{left: maxAnswer}, &bounded{left: 64 << 10}
	cmd.Stdout, cmd.Stderr = output, faults
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	var status *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return said{}, fmt.Errorf("%s: %w", argv[0], ctx.Err())
	case errors.As(err, &status) && status.Exited():
	case err != nil:
		return said{}, fmt.Errorf("%s: %w", argv[0], err)
	}
	return said{output.Bytes(), faults.String(), cmd.ProcessState.ExitCode()}, nil
}

// bounded is a buffer that takes no more than it may: writing more is an error,
// which ends whoever writes.
type bounded struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, io.ErrShortWrite
	}
	return b.Buffer.Write(p)
}

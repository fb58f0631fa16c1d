//go:build windows

package windows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

const (
	// toolTime bounds one tool of the system.
	toolTime = 30 * time.Second
	// maxSaid bounds what is kept of what a tool says, in bytes.
	maxSaid = 4 << 10
)

// runTool runs a program of the system with a fixed path, nothing of our environment,
// and without a window. Its command line is made as that of a launch.
func runTool(ctx context.Context, argv []string) error {
	line, err := commandLine(argv)
	if err != nil {
		return err
	}
	// Half a change is worse than a late one: who stops waiting does not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0])
	cmd.Dir = systemDirectory()
	cmd.Env = []string{"SystemRoot=" + filepath.Dir(systemDirectory()), "PATH=" + systemDirectory()}
	cmd.SysProcAttr = &syscall.SysProcAttr{CmdLine: line, HideWindow: true, CreationFlags: windows.CREATE_NO_WINDOW}
	cmd.WaitDelay = time.Second
	said := &firstBytes{left: maxSaid}
	cmd.Stdout, cmd.Stderr = said, said
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", argv[0], ctx.Err())
	case errors.As(err, &exit): // in the language of the machine
		return fmt.Errorf("%s ended with 0x%X: %s", argv[0], uint32(exit.ExitCode()), strings.ToValidUTF8(strings.TrimSpace(said.String()), "?"))
	case err != nil:
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}

// firstBytes keeps the beginning of what is written, and takes the rest too.
type firstBytes struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *firstBytes) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	b.Buffer.Write(p[:n])
	return len(p), nil
}

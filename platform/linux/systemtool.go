//go:build linux

package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// toolTime bounds one tool: shadow's wait up to 15 s for each other's lock.
	toolTime = 20 * time.Second
	// maxSaid bounds what is kept of what a tool says, in bytes.
	maxSaid = 4 << 10
)

// toolError is a tool that has ended with something else than success.
type toolError struct {
	path   string
	status int
	said   string
}

func (e *toolError) Error() string {
	return fmt.Sprintf("%s ended with %d: %s", e.path, e.status, e.said)
}

// runTool runs a program of the system as root, with a fixed path, nothing of our
// environment, and in our session, where the launcher leaves it to us.
func runTool(ctx context.Context, argv []string) error { return runToolAs(ctx, argv, nil) }

// runToolAs is runTool as another user.
func runToolAs(ctx context.Context, argv []string, as *syscall.Credential) error {
	program, err := openHelper(argv[0])
	if err != nil {
		return err
	}
	program.Close()
	// Half a change is worse than a late one: who stops waiting does not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toolTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = "/", []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: as}
	cmd.WaitDelay = time.Second
	said := &firstBytes{left: maxSaid}
	cmd.Stdout, cmd.Stderr = said, said
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", argv[0], ctx.Err())
	case errors.As(err, &exit) && exit.Exited():
		return &toolError{argv[0], exit.ExitCode(), strings.ToValidUTF8(strings.TrimSpace(said.String()), "")}
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

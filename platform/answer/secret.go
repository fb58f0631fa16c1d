package answer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// errInterrupted is what whoever interrupts a question is told.
var errInterrupted = errors.New("interrupted")

// Secret reads a line at the terminal without showing it. Whoever interrupts it gets
// their terminal back as it was, and the program ends.
func Secret(ctx context.Context, question string) (string, error) {
	fd := int(os.Stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("the terminal cannot be told to show nothing: %w", err)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Fprint(os.Stdout, question)
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() { // which the program's end ends, if nobody types any more
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case got := <-read:
		fmt.Fprintln(os.Stdout)
		return string(got.text), got.err
	case <-ctx.Done():
		fmt.Fprintln(os.Stdout)
		return "", errors.Join(errInterrupted, term.Restore(fd, before))
	}
}

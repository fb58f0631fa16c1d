package edit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Exit statuses beside those of keepersudo, which are passed on.
const (
	exitOK     = 0
	exitFailed = 1
)

// Request is what a person wants to edit.
type Request struct {
	// Command is keepersudo with its options, up to and including the program
	// that serves: the file follows.
	Command []string
	// Files are paths as the person gave them.
	Files []string
	// Editor is the editor and its arguments.
	Editor []string
	// Temporary is where the copies lie; empty is the person's own directory for
	// such files.
	Temporary string
}

// Editor returns the person's editor by the variables that sudo asks as well
// (sudoedit(8)), or one that is there.
func Editor(getenv func(string) string) ([]string, error) {
	for _, name := range []string{"SUDO_EDITOR", "VISUAL", "EDITOR"} {
		if words := strings.Fields(getenv(name)); len(words) > 0 {
			return words, nil
		}
	}
	for _, name := range []string{"editor", "vi", "nano"} {
		if path, err := exec.LookPath(name); err == nil {
			return []string{path}, nil
		}
	}
	return nil, errors.New("there is no editor; set EDITOR to the one that you use")
}

// edited is one file that is open at the other end.
type edited struct {
	file   string
	copy   string
	before []byte
	served *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
}

// Edit has files edited and written back, and returns the exit status. Either all
// can be edited or the editor does not start. What was written and could not be put
// in place is kept, and said where.
func Edit(ctx context.Context, r Request) int {
	dir, err := os.MkdirTemp(r.Temporary, "keeperedit-")
	if err != nil {
		return complain(exitFailed, "a directory for copies: %v", err)
	}
	kept := false
	defer func() {
		if !kept {
			os.RemoveAll(dir)
		}
	}()
	var all []*edited
	defer func() {
		for _, e := range all {
			e.close()
		}
	}()
	for i, file := range r.Files {
		e, status := start(ctx, r, file)
		if e != nil {
			all = append(all, e)
		}
		if status != exitOK {
			return status
		}
		if e.copy, err = write(dir, i, file, e.before); err != nil {
			return complain(exitFailed, "a copy of %s: %v", file, err)
		}
	}
	if err := runEditor(ctx, r.Editor, all); err != nil {
		kept = changed(all)
		return complain(exitFailed, "%s: %v; nothing was written%s", r.Editor[0], err, where(kept, dir))
	}
	status := exitOK
	for _, e := range all {
		if err := e.finish(); err != nil {
			kept = true
			status = complain(exitFailed, "%v; what you wrote is in %s", err, e.copy)
		}
	}
	return status
}

func where(kept bool, dir string) string {
	if kept {
		return "; what you wrote is in " + dir
	}
	return ""
}

// complain says what went wrong and returns status.
func complain(status int, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "keeperedit: "+format+"\n", args...)
	return status
}

// start asks for one file and takes what is in it. keepersudo, or the program that
// serves, has said why if that fails.
func start(ctx context.Context, r Request, file string) (*edited, int) {
	e := &edited{file: file, served: exec.CommandContext(ctx, r.Command[0], append(r.Command[1:len(r.Command):len(r.Command)], file)...)}
	e.served.Stderr = os.Stderr
	var err error
	if e.in, err = e.served.StdinPipe(); err != nil {
		return nil, complain(exitFailed, "%s: %v", file, err)
	}
	if e.out, err = e.served.StdoutPipe(); err != nil {
		return nil, complain(exitFailed, "%s: %v", file, err)
	}
	if err := e.served.Start(); err != nil {
		return nil, complain(exitFailed, "%s: %v", file, err)
	}
	k, payload, err := receive(e.out)
	switch {
	case err == nil && k == contents:
		e.before = payload
		return e, exitOK
	case err == nil && k == failed:
		e.close()
		return nil, complain(exitFailed, "%s", payload)
	}
	if ended := e.close(); ended != exitOK {
		return nil, ended
	}
	return nil, complain(exitFailed, "%s: %v", file, err)
}

// close ends the other end, which leaves the file as it is, and returns its status.
func (e *edited) close() int {
	if e.served.ProcessState == nil {
		e.in.Close()
		io.Copy(io.Discard, e.out)
		e.served.Wait()
	}
	return e.served.ProcessState.ExitCode()
}

// write makes the copy. Its name tells the editor what kind of file it is.
func write(dir string, i int, file string, data []byte) (string, error) {
	sub := filepath.Join(dir, fmt.Sprint(i))
	if err := os.Mkdir(sub, 0o700); err != nil {
		return "", err
	}
	path := filepath.Join(sub, filepath.Base(file))
	return path, os.WriteFile(path, data, 0o600)
}

// runEditor runs the editor on all copies, as whoever runs this.
func runEditor(ctx context.Context, editor []string, all []*edited) error {
	args := editor[1:len(editor):len(editor)]
	for _, e := range all {
		args = append(args, e.copy)
	}
	cmd := exec.CommandContext(ctx, editor[0], args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd.Run()
}

func changed(all []*edited) bool {
	for _, e := range all {
		if now, err := os.ReadFile(e.copy); err != nil || !bytes.Equal(now, e.before) {
			return true
		}
	}
	return false
}

// finish has what was made of the copy written, if that is anything new.
func (e *edited) finish() error {
	now, err := os.ReadFile(e.copy)
	switch {
	case err != nil:
		return fmt.Errorf("%s: its copy: %w", e.file, err)
	case bytes.Equal(now, e.before):
		fmt.Fprintf(os.Stderr, "keeperedit: %s: unchanged\n", e.file)
		return nil
	case len(now) > MaxFile:
		return fmt.Errorf("%s: %w", e.file, ErrTooLarge)
	}
	if err := send(e.in, replace, now); err != nil {
		return fmt.Errorf("%s: the command that writes it has ended: %w", e.file, err)
	}
	k, payload, err := receive(e.out)
	switch {
	case err != nil:
		return fmt.Errorf("%s: the command that writes it has ended, and did not say whether it was written: %w", e.file, err)
	case k == failed:
		return errors.New(string(payload))
	case k != done:
		return fmt.Errorf("%s: %w", e.file, errFrame)
	}
	return nil
}

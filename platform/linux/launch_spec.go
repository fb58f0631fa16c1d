//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/held"
)

// translate turns a spec into what a helper is told and the files that travel
// with it. null stands in for streams that the program does not have. control
// is the one of these files that is to be closed when it has been sent, or nil.
// ends, if not nil, is where the helper is to leave how the program ended.
func translate(spec port.LaunchSpec, null, ends *os.File) (told *held.Spec, files []*os.File, control *os.File, err error) {
	told = &held.Spec{Terminal: spec.Terminal != nil, Background: spec.Background, Script: spec.Script, Argv: spec.Argv, Env: spec.Env}
	if err := setAccount(told, spec.As.Account); err != nil {
		return nil, nil, nil, err
	}
	if login := spec.As.Login; login != "" {
		if _, err := parseKernelID(string(login)); err != nil {
			return nil, nil, nil, fmt.Errorf("login: %w", err)
		}
		told.Login = string(login)
	}
	if spec.Executable == nil || spec.Dir == nil {
		return nil, nil, nil, errors.New("executable or working directory is missing")
	}
	files = []*os.File{spec.Executable, spec.Dir}
	streams, err := streamsOf(spec, null)
	if err != nil {
		return nil, nil, nil, err
	}
	files = append(files, streams[:]...)
	if spec.Script != "" {
		if err := onDescriptor(spec.Executable, func(fd int) (err error) {
			told.Identity, err = held.Identify(fd)
			return err
		}); err != nil {
			return nil, nil, nil, err
		}
	}
	if spec.Terminal != nil {
		var slave *os.File
		if slave, control, err = attach(spec.Terminal); err != nil {
			return nil, nil, nil, err
		}
		files = append(files, slave, control)
	}
	if ends != nil {
		files = append(files, ends)
	}
	if files, err = withOpened(told, files, spec.Opened); err != nil && control != nil {
		return nil, nil, nil, errors.Join(err, control.Close())
	}
	return told, files, control, err
}

// streamsOf returns the files of 0 to 2.
func streamsOf(spec port.LaunchSpec, null *os.File) (streams [3]*os.File, err error) {
	streams = spec.Streams.Each()
	for i := range streams {
		terminal := spec.Apart[i]
		if terminal == nil {
			terminal = spec.Terminal
		}
		switch {
		case streams[i] != nil:
		case terminal == nil:
			streams[i] = null
		default:
			if streams[i], err = slaveOf(terminal); err != nil {
				return streams, err
			}
		}
	}
	return streams, nil
}

// withOpened hands over files in place of arguments.
func withOpened(told *held.Spec, files []*os.File, opened []port.Opened) ([]*os.File, error) {
	if len(opened) == 0 {
		return files, nil
	}
	if len(opened) > held.MaxOpened {
		return nil, fmt.Errorf("%d open files for arguments, at most %d", len(opened), held.MaxOpened)
	}
	told.Opened, told.Argv = len(opened), slices.Clone(told.Argv)
	for i, o := range opened {
		if o.Argument < 1 || o.Argument >= len(told.Argv) || o.Offset < 0 || o.Offset > len(told.Argv[o.Argument]) {
			return nil, fmt.Errorf("an open file for argument %d from byte %d on, of which there is none", o.Argument, o.Offset)
		}
		told.Argv[o.Argument] = told.Argv[o.Argument][:o.Offset] + held.NameOfOpened(i)
		files = append(files, o.File)
	}
	return files, nil
}

func setAccount(told *held.Spec, account core.Account) (err error) {
	if told.UID, err = parseKernelID(string(account.User)); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if told.GID, err = parseKernelID(account.Group); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	for _, s := range account.Groups {
		gid, err := parseKernelID(s)
		if err != nil {
			return fmt.Errorf("groups: %w", err)
		}
		told.Groups = append(told.Groups, gid)
	}
	return nil
}

// connection makes the pair by which a helper is told. Ours does not block a
// thread.
func connection() (ours, theirs *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("connection to a helper: %w", err)
	}
	theirs = os.NewFile(uintptr(pair[1]), "helper's end")
	if err := unix.SetNonblock(pair[0], true); err != nil {
		unix.Close(pair[0])
		theirs.Close()
		return nil, nil, fmt.Errorf("connection to a helper: %w", err)
	}
	return os.NewFile(uintptr(pair[0]), "helper"), theirs, nil
}

// send writes message and sends files with its first byte.
func send(ctx context.Context, conn *os.File, message []byte, files []*os.File) error {
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(sendTime); !ok || deadline.After(limit) {
		deadline = limit
	}
	if conn.SetWriteDeadline(deadline) != nil { // of a closed file alone, and with an error of no name
		return fmt.Errorf("send to a helper: %w", os.ErrClosed)
	}
	sent, err := sendFiles(conn, message, files)
	if err == nil && sent < len(message) {
		_, err = conn.Write(message[sent:])
	}
	if err != nil {
		return fmt.Errorf("send to a helper: %w", err)
	}
	return conn.SetWriteDeadline(time.Time{})
}

func sendFiles(conn *os.File, message []byte, files []*os.File) (sent int, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	fds := make([]int, len(files))
	for i, f := range files {
		// Fd, so that what package os made non-blocking for its own use is not
		// so for the program, which would lose output.
		fds[i] = int(f.Fd())
		if fds[i] < 0 {
			return 0, fmt.Errorf("%s: %w", f.Name(), os.ErrClosed)
		}
	}
	rights := unix.UnixRights(fds...)
	writeErr := raw.Write(func(fd uintptr) bool {
		for {
			sent, err = unix.SendmsgN(int(fd), message, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			if err != unix.EINTR {
				return err != unix.EAGAIN
			}
		}
	})
	for _, f := range files {
		if f.Fd() == ^uintptr(0) { // closed meanwhile: another file may have been sent
			return sent, fmt.Errorf("%s: %w", f.Name(), os.ErrClosed)
		}
	}
	if writeErr != nil && !errors.Is(writeErr, os.ErrDeadlineExceeded) {
		return sent, os.ErrClosed // the same
	}
	if writeErr != nil {
		return sent, writeErr
	}
	return sent, err
}

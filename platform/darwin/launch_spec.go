//go:build unix

package darwin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/held"
)

// told is what a child is told, the files that travel with it, and what it is
// compared with when it is there.
type told struct {
	message []byte
	files   []*os.File
	sealed  sealed
	// slave and control are the terminal and the helper's connection to whoever
	// has its other side; nil without one.
	slave, control *os.File
	background     bool
}

// translate turns a spec into what a child is told. l.null stands in for streams
// that the program does not have.
func (l *Launcher) translate(spec port.LaunchSpec) (*told, error) {
	if spec.Executable == nil || spec.Dir == nil {
		return nil, errors.New("executable or working directory is missing")
	}
	made := &told{background: spec.Background}
	message := held.Spec{User: spec.As.Account.Name, Argv: spec.Argv, Env: spec.Env}
	var err error
	if message.UID, err = parseID(string(spec.As.Account.User)); err != nil {
		return nil, fmt.Errorf("user: %w", err)
	}
	if message.GID, err = parseID(spec.As.Account.Group); err != nil {
		return nil, fmt.Errorf("group: %w", err)
	}
	if err := made.seal(l.system, spec, &message); err != nil {
		return nil, err
	}
	streams, err := streamsOf(spec, l.null)
	if err != nil {
		return nil, err
	}
	made.files = append([]*os.File{spec.Dir}, streams[:]...)
	if err := made.open(spec.Opened, &message); err != nil {
		return nil, err
	}
	if made.message, err = message.Encode(); err != nil {
		return nil, err
	}
	if spec.Terminal != nil {
		made.slave, made.control, err = attach(spec.Terminal)
	}
	return made, err
}

// seal notes what the executable is, and by which path it is executed.
func (t *told) seal(s system, spec port.LaunchSpec, message *held.Spec) error {
	return onDescriptor(spec.Executable, func(fd int) error {
		at, err := s.whereIs(fd)
		if err != nil {
			return err
		}
		message.Path = at.Path
		if spec.Script != "" {
			message.Path = spec.Script
		}
		message.Identity = identity(at.Node)
		program, err := s.reopen(fd)
		if err != nil {
			return err
		}
		defer program.Close()
		t.sealed, err = seal(message.Path, at.Node, spec.Script != "", program)
		return err
	})
}

func identity(n file.Node) held.Identity {
	return held.Identity{Device: n.Dev, Inode: n.Inode, ChangeSec: uint64(n.Change.Unix()), ChangeNsec: uint64(n.Change.Nanosecond())}
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

// open hands over files in place of arguments.
func (t *told) open(opened []port.Opened, message *held.Spec) error {
	if len(opened) > held.MaxOpened {
		return fmt.Errorf("%d open files for arguments, at most %d", len(opened), held.MaxOpened)
	}
	message.Opened, message.Argv = uint32(len(opened)), slices.Clone(message.Argv)
	for i, o := range opened {
		if o.Argument < 1 || o.Argument >= len(message.Argv) || o.Offset < 0 || o.Offset > len(message.Argv[o.Argument]) {
			return fmt.Errorf("an open file for argument %d from byte %d on, of which there is none", o.Argument, o.Offset)
		}
		message.Argv[o.Argument] = message.Argv[o.Argument][:o.Offset] + held.NameOfOpened(i)
		t.files = append(t.files, o.File)
	}
	return nil
}

// release closes what was made for one launch.
func (t *told) release() {
	if t.control != nil {
		t.control.Close()
	}
}

// sendTime is how long a helper or a child has to take in what it is told.
const sendTime = 5 * time.Second

// send writes message and sends files with its first byte.
func send(ctx context.Context, conn *os.File, message []byte, files ...*os.File) error {
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(sendTime); !ok || deadline.After(limit) {
		deadline = limit
	}
	if err := conn.SetWriteDeadline(deadline); err != nil {
		return fmt.Errorf("send to a helper: %w", err)
	}
	sent, err := sendFiles(conn, message, files)
	if err == nil && sent < len(message) {
		_, err = conn.Write(message[sent:])
	}
	if err != nil {
		return fmt.Errorf("send to a helper: %w", err)
	}
	_ = conn.SetWriteDeadline(time.Time{}) // it was heard, and may have ended by now
	return nil
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
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	writeErr := raw.Write(func(fd uintptr) bool {
		for {
			sent, err = unix.SendmsgN(int(fd), message, rights, nil, unix.MSG_DONTWAIT)
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
	if writeErr != nil {
		return sent, writeErr
	}
	return sent, err
}

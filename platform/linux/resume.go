//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
	"kpm/platform/linux/held"
)

// endName is the file that says how the process id ended. Of the same name there
// is one process at most since the machine was started.
func endName(id core.ProcessID) string {
	return strconv.Itoa(id.PID) + "-" + strconv.FormatUint(id.Start, 10)
}

// endsDir is the directory of this boot: pids and start stamps of another one
// mean other processes.
func (l *Launcher) endsDir() string { return filepath.Join(l.ends, bootID()) }

// openEnds opens the directory in which the program of spec leaves how it ended,
// nil if it does not.
func (l *Launcher) openEnds(spec port.LaunchSpec) (*os.File, error) {
	if !spec.Outlives || l.ends == "" {
		return nil, nil
	}
	dir, err := openDir(l.endsDir())
	if !errors.Is(err, os.ErrNotExist) {
		return dir, err
	}
	if err := os.MkdirAll(l.endsDir(), 0o700); err != nil {
		return nil, err
	}
	if err := l.forgetOtherBoots(); err != nil {
		return nil, err
	}
	return openDir(l.endsDir())
}

// openDir opens a directory to be handed to another process. Package os would have the
// runtime wait for it, which takes four system calls and is not possible.
func openDir(path string) (*os.File, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// forgetOtherBoots leaves what belongs to this boot alone: other launches may be
// at the same place at the same time, and what they make is in use at once.
func (l *Launcher) forgetOtherBoots() error {
	boots, err := os.ReadDir(l.ends)
	for _, boot := range boots {
		if boot.Name() != bootID() {
			err = errors.Join(err, os.RemoveAll(filepath.Join(l.ends, boot.Name())))
		}
	}
	return err
}

// Forget implements port.Launcher.
func (l *Launcher) Forget(id core.ProcessID) {
	if l.ends != "" {
		os.Remove(filepath.Join(l.endsDir(), endName(id)))
	}
}

// Resume implements port.Launcher.
func (l *Launcher) Resume(id core.ProcessID, name string) (port.Process, error) {
	if l.ends == "" {
		return nil, fmt.Errorf("resume %s: %w", id, errors.ErrUnsupported)
	}
	g, ok := parseGroup(name)
	if !ok {
		return nil, fmt.Errorf("resume %q: %w", name, errBadGroup)
	}
	p := &resumed{launcher: l, id: id, group: name}
	if g.stale || !l.tree.Alive(id) {
		return p, nil
	}
	pidfd, err := openPidfd(id.PID)
	switch {
	case errors.Is(err, unix.ESRCH):
		return p, nil
	case err != nil:
		return nil, fmt.Errorf("resume %s: %w", id, err)
	}
	p.pidfd = pidfd
	if start, err := startTicks(id.PID); err != nil || start != id.Start {
		p.close()
	}
	return p, nil
}

// resumed is a program that an earlier launcher has released, as far as its
// helper goes, which is its parent and that of no launcher any more.
type resumed struct {
	launcher *Launcher
	id       core.ProcessID
	group    string
	pidfd    *os.File // nil if it had ended already
	killed   atomic.Bool
}

var _ port.Process = (*resumed)(nil)

// ID implements port.Process.
func (p *resumed) ID() core.ProcessID { return p.id }

func (p *resumed) close() {
	if p.pidfd != nil {
		p.pidfd.Close()
	}
}

// End implements port.Process. Nobody is told: it is another service that its helper
// knows.
func (p *resumed) End(ctx context.Context) (core.ExitStatus, error) { return p.Wait(ctx) }

// Wait implements port.Process. Of what has been waited for already it says how it
// ended as long as that is not forgotten.
func (p *resumed) Wait(ctx context.Context) (core.ExitStatus, error) {
	defer p.close()
	if p.pidfd != nil {
		stop := context.AfterFunc(ctx, func() { p.pidfd.SetReadDeadline(time.Unix(1, 0)) })
		defer stop()
		raw, err := p.pidfd.SyscallConn()
		if err == nil {
			err = raw.Read(hasEnded)
		}
		switch {
		case errors.Is(err, os.ErrClosed): // it was somebody else's pid already
		case ctx.Err() != nil:
			return core.ExitStatus{}, ctx.Err()
		case err != nil:
			return core.ExitStatus{}, fmt.Errorf("wait for %s: %w", p.id, err)
		}
	}
	return p.end()
}

// hasEnded reports whether the process of a pidfd is gone.
func hasEnded(fd uintptr) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(polled, 0)
	return err == nil && n > 0
}

// end reads what the helper has left.
func (p *resumed) end() (core.ExitStatus, error) {
	text, err := os.ReadFile(filepath.Join(p.launcher.endsDir(), endName(p.id)))
	end, ok := held.DecodeEnd(text)
	switch {
	case (err != nil || !ok) && p.killed.Load(): // its helper too
		return core.ExitStatus{Signal: int(unix.SIGKILL)}, nil
	case err != nil:
		return core.ExitStatus{}, fmt.Errorf("%s: %w: %w", p.id, port.ErrEndUnknown, err)
	case !ok:
		return core.ExitStatus{}, fmt.Errorf("%s: %w", p.id, port.ErrEndUnknown)
	case !end.Ran:
		return core.ExitStatus{}, fmt.Errorf("%s: %w", p.id, port.ErrNotReleased)
	}
	return exitStatus(end.Status), nil
}

// Signal implements port.Process. The helper passes it on.
func (p *resumed) Signal(s signal.Signal) error {
	number, ok := numbers[s]
	if !ok {
		return fmt.Errorf("signal %s: %w", s, errors.ErrUnsupported)
	}
	if p.pidfd == nil {
		return os.ErrProcessDone
	}
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return os.ErrProcessDone
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), number, nil, 0) }); err != nil || errors.Is(sent, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return sent
}

// Kill implements port.Process.
func (p *resumed) Kill() error {
	p.killed.Store(true)
	_, err := p.launcher.tree.KillGroups(port.Group{Root: p.id, Name: p.group})
	return err
}

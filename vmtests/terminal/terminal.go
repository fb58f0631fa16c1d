//go:build linux

// Package terminal runs a command on a pseudo terminal of its own and plays
// the person at the keyboard: it reads the screen's bytes and types.
//
// It is the outer terminal that a user sits at, not the one that the product
// makes for an elevated command.
package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a person's terminal with a command running on it.
type Terminal struct {
	Master *os.File
	Slave  *os.File

	mu      sync.Mutex
	output  bytes.Buffer
	changed chan struct{}
	drained chan struct{}
}

// Open makes a terminal of the given size that uid may use.
func Open(uid uint32, rows, columns uint16) (*Terminal, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("terminal: %w", err)
	}
	var n int
	err = control(master, func(fd int) (err error) {
		if err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
			return err
		}
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("terminal: %w", err), master.Close())
	}
	name := "/dev/pts/" + strconv.Itoa(n)
	slave, err := os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("terminal: %w", err), master.Close())
	}
	t := &Terminal{Master: master, Slave: slave, changed: make(chan struct{}), drained: make(chan struct{})}
	err = errors.Join(os.Chown(name, int(uid), -1), t.Resize(rows, columns))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("terminal: %w", err), slave.Close(), master.Close())
	}
	go t.read()
	return t, nil
}

func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// Resize sets the window size, as dragging a corner does.
func (t *Terminal) Resize(rows, columns uint16) error {
	return control(t.Master, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	})
}

// Settings returns the terminal's current modes.
func (t *Terminal) Settings() (*unix.Termios, error) {
	var settings *unix.Termios
	err := control(t.Slave, func(fd int) (err error) {
		settings, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return settings, err
}

// Attach makes the terminal the controlling terminal of cmd, and its
// descriptors 0 to 2 where cmd has none yet. Credentials are kept.
func (t *Terminal) Attach(cmd *exec.Cmd) {
	if cmd.Stdin == nil {
		cmd.Stdin = t.Slave
	}
	if cmd.Stdout == nil {
		cmd.Stdout = t.Slave
	}
	if cmd.Stderr == nil {
		cmd.Stderr = t.Slave
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// The controlling terminal is set through an extra descriptor, so that any
	// of 0 to 2 may be redirected.
	cmd.ExtraFiles = append(cmd.ExtraFiles, t.Slave)
	cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = true, true
	cmd.SysProcAttr.Ctty = 2 + len(cmd.ExtraFiles)
}

func (t *Terminal) read() {
	defer close(t.drained)
	buf := make([]byte, 32<<10)
	for {
		n, err := t.Master.Read(buf)
		t.mu.Lock()
		t.output.Write(buf[:n])
		close(t.changed)
		t.changed = make(chan struct{})
		t.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type types text.
func (t *Terminal) Type(text string) error {
	_, err := t.Master.WriteString(text)
	return err
}

// Output is everything shown so far.
func (t *Terminal) Output() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.output.String()
}

// Expect waits until text has been shown.
func (t *Terminal) Expect(text string, within time.Duration) error {
	deadline := time.After(within)
	for {
		t.mu.Lock()
		shown, changed := t.output.String(), t.changed
		t.mu.Unlock()
		if strings.Contains(shown, text) {
			return nil
		}
		select {
		case <-changed:
		case <-deadline:
			return fmt.Errorf("terminal: %q was not shown within %v; shown: %q", text, within, shown)
		}
	}
}

// Close takes in what is still to be shown and ends the terminal: what runs on
// it is hung up.
func (t *Terminal) Close() error {
	err := t.Slave.Close()
	select {
	case <-t.drained: // nobody has it open any more, and everything was read
	case <-time.After(500 * time.Millisecond):
	}
	err = errors.Join(err, t.Master.Close())
	<-t.drained
	return err
}

//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"kpm/vmtests/terminal"
)

// seat is a person at a terminal of their own, where one command runs after the other:
// what sudo and keepersudo remember belongs to a terminal and the leader of its session.
// The leader is this program, as --seat.
type seat struct {
	term    *terminal.Terminal
	cmd     *exec.Cmd
	keys    io.WriteCloser
	answers *json.Decoder
}

// timed is how one command of a seat ended.
type timed struct {
	Milliseconds float64
	Status       int
}

func (p person) sits(ctx context.Context) (*seat, error) {
	term, err := terminal.Open(p.user, 24, 80)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "--seat")
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8", "HOME=" + p.home}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.user, Gid: p.user}}
	keys, errIn := cmd.StdinPipe()
	answers, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, errors.Join(err, term.Close())
	}
	term.Attach(cmd)
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, term.Close())
	}
	return &seat{term, cmd, keys, json.NewDecoder(answers)}, nil
}

// begins starts argv at the seat's terminal, and ends waits for it.
func (s *seat) begins(argv ...string) error { return json.NewEncoder(s.keys).Encode(argv) }

func (s *seat) ends(status int) (float64, error) {
	var t timed
	err := s.answers.Decode(&t)
	if err == nil && t.Status != status {
		err = fmt.Errorf("a command at a terminal ended with %d, expected %d; shown: %q", t.Status, status, s.term.Output())
	}
	return t.Milliseconds, err
}

// time runs argv, and returns how long it took from fork to reaped, in milliseconds.
func (s *seat) time(argv ...string) (float64, error) {
	if err := s.begins(argv...); err != nil {
		return 0, err
	}
	return s.ends(0)
}

// answers runs argv, which asks a question, and types the answer.
func (s *seat) answer(question, answer string, argv ...string) error {
	if err := s.begins(argv...); err != nil {
		return err
	}
	if err := errors.Join(s.term.Expect(question, 10*time.Second), s.term.Type(answer+"\r")); err != nil {
		return err
	}
	_, err := s.ends(0)
	return err
}

func (s *seat) leaves() error { return errors.Join(s.keys.Close(), s.cmd.Wait(), s.term.Close()) }

// lead is --seat: it runs each command line that it is told, at its terminal.
func lead(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var argv []string
		if err := json.Unmarshal(lines.Bytes(), &argv); err != nil || len(argv) == 0 {
			return fmt.Errorf("no command line: %q: %w", lines.Text(), err)
		}
		tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		began := time.Now()
		err = cmd.Run()
		took := milliseconds(time.Since(began))
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return errors.Join(err, tty.Close())
		}
		if err := errors.Join(tty.Close(), json.NewEncoder(out).Encode(timed{took, cmd.ProcessState.ExitCode()})); err != nil {
			return err
		}
	}
	return lines.Err()
}

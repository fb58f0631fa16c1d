//go:build linux

package main

import (
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/door"
	told "kpm/core/signal"
)

// session is one request from when it was sent until its end.
type session struct {
	conn           *connection
	nonInteractive bool

	mu       sync.Mutex // writes to conn, and the fields below
	bell     bell       // rung when a signal has come
	asking   bool       // a prompt is on the screen
	started  bool       // the command runs
	terminal *terminal  // nil if the command has no terminal of ours

	interrupted syscall.Signal // the last one sent before the command was known to run
	cancelled   atomic.Int32   // the signal that interrupted a prompt
}

// attend reads what the service says until its last word.
func (s *session) attend() (int, *failure) {
	defer func() { s.terminal.giveBack() }()
	s.watchSignals() // while the service thinks there is time for it
	for {
		kind, body, err := door.Read(s.conn)
		if err != nil {
			return 0, lost
		}
		switch kind {
		case door.TypePrompt:
			prompt, err := door.DecodePrompt(body)
			if err != nil {
				return 0, garbled
			}
			s.prompt(prompt)
		case door.TypeStarted:
			s.start(s.conn.takeFile())
		case door.TypeExit:
			exit, err := door.DecodeExit(body)
			if err != nil {
				return 0, garbled
			}
			s.terminal.drain()
			if exit.Signal != 0 {
				return 128 + int(exit.Signal), nil
			}
			return int(exit.Code), nil
		case door.TypeRefused:
			refused, err := door.DecodeRefused(body)
			if err != nil {
				return 0, garbled
			}
			s.terminal.drain()
			s.mu.Lock()
			if s.interrupted != 0 {
				die(s.interrupted)
			}
			s.mu.Unlock()
			return 0, &failure{statusOf(refused.Code), refused.Message}
		default:
			return 0, &failure{exitRefused, "the service said something unknown (" + strconv.Itoa(int(kind)) +
				"); keepersudo and service must be of the same version"}
		}
	}
}

var garbled = &failure{exitRefused, "the service said something unreadable; keepersudo and service must be of the same version"}

func statusOf(code string) int {
	switch code {
	case door.CodeBadRequest:
		return exitUsage
	case door.CodeNotFound:
		return exitNotFound
	}
	return exitRefused
}

// start begins to carry bytes to the command.
func (s *session) start(master int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.started, s.interrupted = true, 0
	if master >= 0 && s.terminal == nil {
		s.terminal = newTerminal(master, s.bell)
		s.terminal.carry()
	}
}

// forwarded are the signals that people and programs send to sudo and mean the
// command, and what the command is told.
var forwarded = map[syscall.Signal]told.Signal{
	unix.SIGINT: told.Interrupt, unix.SIGQUIT: told.Quit, unix.SIGTERM: told.Terminate, unix.SIGHUP: told.Hangup,
	unix.SIGUSR1: told.User1, unix.SIGUSR2: told.User2, unix.SIGALRM: told.Alarm, unix.SIGCONT: told.Continue,
}

// watchSignals starts the goroutine that takes signals; it ends with the
// process. What keepersudo was told to ignore (nohup) it goes on ignoring.
func (s *session) watchSignals() {
	s.bell = newBell()
	signals := make(chan os.Signal, 16)
	watch := func(sig syscall.Signal) {
		if !signal.Ignored(sig) {
			signal.Notify(signals, sig)
		}
	}
	for sig := range forwarded {
		watch(sig)
	}
	watch(unix.SIGWINCH)
	watch(unix.SIGTSTP)
	go func() {
		for sig := range signals {
			s.signalled(sig.(syscall.Signal))
		}
	}()
}

func (s *session) signalled(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch sig {
	case unix.SIGWINCH:
		s.terminal.resize()
		return
	case unix.SIGTSTP:
		// Stop as we would have without a handler, with the terminal as the
		// shell expects it.
		s.terminal.lend()
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
		return
	case unix.SIGCONT:
		s.terminal.takeAgain()
	}
	if s.asking {
		s.cancelled.Store(int32(sig))
		s.bell.ring()
		return
	}
	// The command may run before we are told. The service knows: a signal that
	// comes first ends the request, a later one is the command's.
	s.conn.send(door.TypeSignal, door.EncodeSignal(forwarded[sig]))
	if !s.started && sig != unix.SIGCONT {
		s.interrupted = sig
		time.AfterFunc(patience, s.unheard)
	}
}

// patience is how long a service may take to hear a signal.
const patience = time.Second

// unheard ends keepersudo if the service has said nothing to a signal; it then
// sees the caller go.
func (s *session) unheard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.interrupted != 0 {
		die(s.interrupted)
	}
}

// die ends keepersudo as sig would have without us: a shell stops its script
// when Ctrl-C has killed a command, and goes on when the command returned.
func die(sig syscall.Signal) {
	switch sig {
	case unix.SIGINT, unix.SIGTERM, unix.SIGHUP:
		signal.Reset(sig)
		unix.Kill(unix.Getpid(), sig)
		time.Sleep(patience) // another thread may be the one that takes it
	}
	os.Exit(128 + int(sig))
}

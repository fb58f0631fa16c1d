//go:build darwin

package caller

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
	told "kpm/core/signal"
)

// forwarded are the signals that people and programs send to sudo and mean the
// command.
var forwarded = []struct {
	name   told.Signal
	number unix.Signal
}{
	{told.Hangup, unix.SIGHUP},
	{told.Interrupt, unix.SIGINT},
	{told.Quit, unix.SIGQUIT},
	{told.Terminate, unix.SIGTERM},
	{told.User1, unix.SIGUSR1},
	{told.User2, unix.SIGUSR2},
	{told.Alarm, unix.SIGALRM},
	{told.Continue, unix.SIGCONT},
}

// exitSignal is added to a signal's number in exit statuses.
const exitSignal = 128

// signals implements port.Signals by package os/signal. Who has sent a signal is
// not known by it: the service takes every one for the caller's own.
type signals struct{ console *console }

var _ port.Signals = signals{}

// Watch implements port.Signals: nohup's SIGHUP stays ignored, and so does SIGINT
// of a command in the background. Of other signals that were ignored when this
// process was started the Go runtime does not know.
func (s signals) Watch(deliver func(told.Sent)) {
	s.console.wake = newWakePipe()
	arrived := s.console.stop.arrived
	for _, known := range forwarded {
		if !signal.Ignored(known.number) {
			signal.Notify(arrived, known.number)
		}
	}
	signal.Notify(arrived, unix.SIGWINCH, unix.SIGTSTP)
	go func() { // for as long as the process lives
		for sig := range arrived {
			if number, ok := sig.(syscall.Signal); ok {
				s.take(number, deliver)
			}
		}
	}()
}

// take does what a signal means for the terminal, and delivers it if it is
// meant for the command.
func (s signals) take(sig unix.Signal, deliver func(told.Sent)) {
	switch sig {
	case unix.SIGWINCH:
		s.console.resize()
		return
	case unix.SIGTSTP:
		if s.console.suspend() {
			deliver(told.Sent{Signal: told.Suspend})
			s.console.stop.self()
			// Where no shell could let us go on, we were not stopped.
			deliver(told.Sent{Signal: told.Continue})
		}
		return
	case unix.SIGCONT:
		if !s.console.goOn() {
			return
		}
	}
	for _, known := range forwarded {
		if known.number == sig {
			deliver(told.Sent{Signal: known.name})
		}
	}
}

// Number implements port.Signals.
func (signals) Number(sig told.Signal) uint32 { return uint32(number(sig)) }

func number(sig told.Signal) unix.Signal {
	for _, known := range forwarded {
		if known.name == sig {
			return known.number
		}
	}
	return 0
}

// endTime is how long a signal that ends this process is waited for.
const endTime = time.Second

// EndBy implements port.Signals.
func (signals) EndBy(sig told.Signal) {
	number := number(sig)
	switch sig {
	case told.Interrupt, told.Terminate, told.Hangup:
		signal.Reset(number)
		unix.Kill(unix.Getpid(), number)
		time.Sleep(endTime)
	}
	os.Exit(exitSignal + int(number))
}

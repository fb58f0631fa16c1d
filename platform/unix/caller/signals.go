//go:build linux || darwin

package caller

import (
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

// signals implements port.Signals.
type signals struct{ console *console }

var _ port.Signals = signals{}

// take does what a signal means for the terminal, and delivers it if it is
// meant for the command.
func (s signals) take(sig unix.Signal, by uint32, deliver func(told.Sent)) {
	switch sig {
	case unix.SIGWINCH:
		s.console.resize()
		return
	case unix.SIGTSTP:
		if s.console.suspend() {
			deliver(told.Sent{Signal: told.Suspend, By: by})
			s.console.stop.self(s.console.stop.goesOn)
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
			deliver(told.Sent{Signal: known.name, By: by})
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

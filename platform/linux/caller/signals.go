//go:build linux

package caller

import (
	"os"
	"os/signal"
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

// signals implements port.Signals.
type signals struct{ console *console }

var _ port.Signals = signals{}

// Watch implements port.Signals: nohup's SIGHUP stays ignored.
func (s signals) Watch(deliver func(told.Signal)) {
	s.console.wake = newWakePipe()
	incoming := make(chan os.Signal, 16)
	watch := func(sig unix.Signal) {
		if !signal.Ignored(sig) {
			signal.Notify(incoming, sig)
		}
	}
	for _, sig := range forwarded {
		watch(sig.number)
	}
	watch(unix.SIGWINCH)
	watch(unix.SIGTSTP)
	go func() {
		for sig := range incoming {
			if name := s.take(sig.(unix.Signal)); name != 0 {
				deliver(name)
			}
		}
	}()
}

// take does what a signal means for the terminal, and returns its name if it
// is meant for the command.
func (s signals) take(sig unix.Signal) told.Signal {
	switch sig {
	case unix.SIGWINCH:
		s.console.current().resize()
		return 0
	case unix.SIGTSTP:
		// Stop as we would have without a handler, with the terminal as the
		// shell expects it.
		s.console.current().lend()
		unix.Kill(unix.Getpid(), unix.SIGSTOP)
		return 0
	case unix.SIGCONT:
		s.console.current().takeAgain()
	}
	for _, known := range forwarded {
		if known.number == sig {
			return known.name
		}
	}
	return 0
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

// delivery is how long a signal to this process may take: another thread may
// be the one that takes it.
const delivery = time.Second

// EndBy implements port.Signals.
func (signals) EndBy(sig told.Signal) {
	number := number(sig)
	switch sig {
	case told.Interrupt, told.Terminate, told.Hangup:
		signal.Reset(number)
		unix.Kill(unix.Getpid(), number)
		time.Sleep(delivery)
	}
	os.Exit(exitSignal + int(number))
}

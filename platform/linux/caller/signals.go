//go:build linux

package caller

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// numbers are the signals that people and programs send to sudo and mean the
// command.
var numbers = [...]unix.Signal{
	port.Hangup:    unix.SIGHUP,
	port.Interrupt: unix.SIGINT,
	port.Quit:      unix.SIGQUIT,
	port.Terminate: unix.SIGTERM,
	port.User1:     unix.SIGUSR1,
	port.User2:     unix.SIGUSR2,
	port.Alarm:     unix.SIGALRM,
	port.Continue:  unix.SIGCONT,
}

// exitSignal is added to a signal's number in exit statuses.
const exitSignal = 128

// signals implements port.Signals.
type signals struct{ console *console }

var _ port.Signals = signals{}

// Watch implements port.Signals: nohup's SIGHUP stays ignored.
func (s signals) Watch(deliver func(port.Signal)) {
	s.console.wake = newWakePipe()
	incoming := make(chan os.Signal, 16)
	for _, sig := range append(numbers[1:], unix.SIGWINCH, unix.SIGTSTP) {
		if !signal.Ignored(sig) {
			signal.Notify(incoming, sig)
		}
	}
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
func (s signals) take(sig unix.Signal) port.Signal {
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
	for name, number := range numbers {
		if number == sig {
			return port.Signal(name)
		}
	}
	return 0
}

// Number implements port.Signals.
func (signals) Number(sig port.Signal) uint32 { return uint32(numbers[sig]) }

// delivery is how long a signal to this process may take: another thread may
// be the one that takes it.
const delivery = time.Second

// EndBy implements port.Signals.
func (signals) EndBy(sig port.Signal) {
	number := numbers[sig]
	switch sig {
	case port.Interrupt, port.Terminate, port.Hangup:
		signal.Reset(number)
		unix.Kill(unix.Getpid(), number)
		time.Sleep(delivery)
	}
	os.Exit(exitSignal + int(number))
}

package caller

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	told "kpm/core/signal"
)

// Watch implements port.Signals by package os/signal. Who has sent a signal is not
// known by it: the service takes every one for the caller's own. nohup's SIGHUP stays ignored, and so does SIGINT
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
		for {
			if number, ok := s.console.stop.next().(syscall.Signal); ok {
				s.take(number, 0, deliver)
			}
		}
	}()
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

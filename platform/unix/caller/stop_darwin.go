package caller

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long to wait until this process was stopped and let go on. It is
// over at once where no shell could let it go on: the kernel does not stop it then.
const stopTime = 50 * time.Millisecond

// stopper stops this process as its shell expects of a job.
type stopper struct {
	arrived chan os.Signal // what Signals.Watch reads
	later   *later[os.Signal]
}

func newStopper() stopper { return stopper{make(chan os.Signal, 16), new(later[os.Signal])} }

// heard waits until every signal that has arrived is taken by whoever reads them.
func (s stopper) heard() {
	for end := time.Now().Add(heardTime); (len(s.arrived) > 0 || !s.later.none()) && time.Now().Before(end); {
		time.Sleep(heardAgain)
	}
}

// next waits for the next signal.
func (s stopper) next() os.Signal {
	if sig, held := s.later.next(); held {
		return sig
	}
	return <-s.arrived
}

// goesOn reports whether SIGCONT has arrived since the signal that is being taken.
// Whoever reads signals calls it, and takes what has arrived afterwards. Another SIGTSTP
// without SIGCONT asks for the same stop.
func (s stopper) goesOn() bool {
	is := func(signal os.Signal) func(os.Signal) bool {
		return func(sig os.Signal) bool { return sig == signal }
	}
	for {
		select {
		case sig := <-s.arrived:
			s.later.add(sig)
		default:
			if s.later.has(is(unix.SIGCONT)) {
				return true
			}
			s.later.drop(is(unix.SIGTSTP))
			return false
		}
	}
}

// job stops the processes that a shell takes for one job with us, this one
// included, and returns when the shell lets them go on, or soon where no shell
// could, or as self does.
func (s stopper) job(goesOn func() bool) {
	// The others first, and not us: stopped, we could not go on telling them.
	signal.Ignore(unix.SIGTSTP)
	unix.Kill(0, unix.SIGTSTP)
	if !s.stopped(goesOn) {
		unix.Kill(0, unix.SIGCONT)
	}
}

// self stops this process as SIGTSTP would have without a handler, unless goesOn reports
// that SIGCONT has arrived: whoever has sent it does not send it again.
func (s stopper) self(goesOn func() bool) { s.stopped(goesOn) }

// stopped is self, and reports whether it was stopped.
func (s stopper) stopped(goesOn func() bool) bool {
	defer signal.Notify(s.arrived, unix.SIGTSTP)
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, unix.SIGCONT)
	defer signal.Stop(resumed)
	time.Sleep(noteTime)
	if goesOn() || len(resumed) > 0 {
		return false
	}
	signal.Reset(unix.SIGTSTP)
	unix.Kill(unix.Getpid(), unix.SIGTSTP)
	select {
	case <-resumed:
	case <-time.After(stopTime):
	}
	return true
}

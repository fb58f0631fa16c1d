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
}

func newStopper() stopper { return stopper{make(chan os.Signal, 16)} }

// heard waits until every signal that has arrived is taken by whoever reads them.
func (s stopper) heard() {
	for end := time.Now().Add(heardTime); len(s.arrived) > 0 && time.Now().Before(end); {
		time.Sleep(heardAgain)
	}
}

// job stops the processes that a shell takes for one job with us, this one
// included, and returns when the shell lets them go on, or soon where no shell
// could.
func (s stopper) job() {
	// The others first, and not us: stopped, we could not go on telling them.
	signal.Ignore(unix.SIGTSTP)
	unix.Kill(0, unix.SIGTSTP)
	s.self()
}

// self stops this process as SIGTSTP would have without a handler.
func (s stopper) self() {
	resumed := make(chan os.Signal, 1)
	signal.Notify(resumed, unix.SIGCONT)
	defer signal.Stop(resumed)
	signal.Reset(unix.SIGTSTP)
	unix.Kill(unix.Getpid(), unix.SIGTSTP)
	select {
	case <-resumed:
	case <-time.After(stopTime):
	}
	signal.Notify(s.arrived, unix.SIGTSTP)
}

package caller

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// stopper stops this process as its shell expects of a job.
type stopper struct {
	noted *atomic.Int32 // the end from which noted signals are read; 0 before there is one
}

func newStopper() stopper { return stopper{new(atomic.Int32)} }

// heard waits until every signal that has been noted is taken by whoever reads them.
func (s stopper) heard() {
	for end := time.Now().Add(heardTime); time.Now().Before(end); time.Sleep(heardAgain) {
		fd := s.noted.Load()
		if fd == 0 || poll(0, unix.PollFd{Fd: fd, Events: unix.POLLIN})[0].Revents == 0 {
			return
		}
	}
}

// job stops the processes that a shell takes for one job with us, this one
// included, and returns when the shell lets them go on, or at once where no
// shell could.
func (s stopper) job() {
	// The others first, and not us: stopped, we could not go on telling them.
	before := setAction(unix.SIGTSTP, action{handler: ignore})
	unix.Kill(0, unix.SIGTSTP)
	setAction(unix.SIGTSTP, before)
	s.self()
}

// self stops this process as SIGTSTP would have without a handler.
func (stopper) self() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := setAction(unix.SIGTSTP, action{handler: byDefault})
	// To this thread: the whole process is stopped before the call returns.
	unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
	setAction(unix.SIGTSTP, before)
}

package caller

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// stopper stops this process as its shell expects of a job.
type stopper struct{}

func newStopper() stopper { return stopper{} }

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

package caller

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// stopper stops this process as its shell expects of a job.
type stopper struct {
	noted *atomic.Int32 // the end from which noted signals are read; 0 before there is one
	later *later[siginfo]
}

func newStopper() stopper { return stopper{new(atomic.Int32), new(later[siginfo])} }

// heard waits until every signal that has been noted is taken by whoever reads them.
func (s stopper) heard() {
	for end := time.Now().Add(heardTime); time.Now().Before(end); time.Sleep(heardAgain) {
		fd := s.noted.Load()
		if fd == 0 || s.later.none() && poll(0, unix.PollFd{Fd: fd, Events: unix.POLLIN})[0].Revents == 0 {
			return
		}
	}
}

// goesOn reports whether SIGCONT has been noted since the signal that is being taken.
// Whoever reads signals calls it, and takes what has been noted afterwards.
func (s stopper) goesOn() bool {
	for fd := int(s.noted.Load()); fd != 0; {
		var info siginfo
		n, err := unix.Read(fd, info.bytes())
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != len(info.bytes()) {
			break // there is no more
		}
		s.later.add(info)
	}
	return s.later.has(func(i siginfo) bool { return unix.Signal(i.number) == unix.SIGCONT })
}

// job stops the processes that a shell takes for one job with us, this one
// included, and returns when the shell lets them go on, or soon where no shell
// could, or as self does.
func (s stopper) job(goesOn func() bool) {
	// The others first, and not us: stopped, we could not go on telling them.
	before := setAction(unix.SIGTSTP, action{handler: ignore})
	unix.Kill(0, unix.SIGTSTP)
	setAction(unix.SIGTSTP, before)
	s.self(goesOn)
}

// self stops this process as SIGTSTP would have without a handler, unless goesOn reports
// that SIGCONT has been noted: whoever has sent it does not send it again.
//
// Each of the two takes the other, if that waits, from a process (signal(7)). So SIGTSTP is
// sent first and kept waiting until each SIGCONT that was before it has been noted, which
// other threads are about to do. One that comes after it takes it away. One that comes
// between the look and the sending, less than a microsecond, is lost.
func (stopper) self(goesOn func() bool) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mask unix.Sigset_t
	unix.PthreadSigmask(unix.SIG_BLOCK, &unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGTSTP - 1)}}, &mask)
	before := setAction(unix.SIGTSTP, action{handler: byDefault})
	if !continueWaits() {
		unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
		time.Sleep(noteTime)
		if goesOn() {
			setAction(unix.SIGTSTP, action{handler: ignore}) // which takes it away
		}
	}
	// It was sent to this thread: the whole process is stopped before the call returns.
	unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	setAction(unix.SIGTSTP, before)
}

// noteTime is how long a thread may take to note a signal that it has been given.
const noteTime = time.Millisecond

// continueWaits reports whether no thread has been given SIGCONT yet.
func continueWaits() bool {
	var waits uint64
	unix.RawSyscall(unix.SYS_RT_SIGPENDING, uintptr(unsafe.Pointer(&waits)), unsafe.Sizeof(waits), 0)
	return waits&(1<<(unix.SIGCONT-1)) != 0
}

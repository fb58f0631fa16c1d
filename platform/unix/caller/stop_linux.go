package caller

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/early"
)

// stopper stops this process as its shell expects of a job.
type stopper struct {
	noted *atomic.Int32 // the end from which noted signals are read; 0 before there is one
	later *later[siginfo]
	one   *sync.Mutex // who stops this process
}

func newStopper() stopper {
	return stopper{new(atomic.Int32), new(later[siginfo]), new(sync.Mutex)}
}

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
// Whoever reads signals calls it, and takes what has been noted afterwards. Another SIGTSTP
// without SIGCONT asks for the same stop.
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
	is := func(sig unix.Signal) func(siginfo) bool {
		return func(i siginfo) bool { return unix.Signal(i.number) == sig }
	}
	if s.later.has(is(unix.SIGCONT)) {
		return true
	}
	s.later.drop(is(unix.SIGTSTP))
	return false
}

// job stops the processes that a shell takes for one job with us, this one included, and
// returns when the shell lets them go on, or soon where no shell could, or as self does.
func (s stopper) job(goesOn func() bool) {
	s.halt(goesOn, func() {
		// The others first, and not us: stopped, we could not go on telling them.
		before := setAction(unix.SIGTSTP, action{handler: ignore})
		unix.Kill(0, unix.SIGTSTP)
		setAction(unix.SIGTSTP, before)
	}, func() { unix.Kill(0, unix.SIGCONT) })
}

// self stops this process as SIGTSTP would have without a handler, unless goesOn reports
// that SIGCONT has been noted: whoever has sent it does not send it again.
func (s stopper) self(goesOn func() bool) { s.halt(goesOn, func() {}, func() {}) }

// halt stops this process once others are stopped, which have to go on if it does.
//
// To send a signal that stops takes SIGCONT away from a process where it waits, and the
// other way round (kernel/signal.c, prepare_signal). So SIGTSTP is sent first, if no SIGCONT
// waits, and is kept waiting until each that was before it has been noted, which other
// threads are about to do. One that comes after it takes it away. One that comes between
// the look and the sending is lost, and so is one that takes longer than noteTime to be noted.
func (s stopper) halt(goesOn func() bool, stopOthers, continueOthers func()) {
	s.one.Lock() // what is changed here is the whole process's
	defer s.one.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	early.LetSignals() // or this thread could not be stopped
	var mask unix.Sigset_t
	unix.PthreadSigmask(unix.SIG_BLOCK, set(unix.SIGCONT), &mask) // of this thread: the others note it
	if continueWaits() {
		unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
		return
	}
	stopOthers() // while SIGTSTP is not blocked: what is blocked is not ignored
	unix.PthreadSigmask(unix.SIG_BLOCK, set(unix.SIGTSTP), nil)
	unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGTSTP)
	time.Sleep(noteTime)
	way := action{handler: byDefault}
	on := goesOn()
	if on {
		way.handler = ignore // which takes it away
	}
	before := setAction(unix.SIGTSTP, way)
	// It was sent to this thread: the whole process is stopped before the call returns.
	unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil)
	setAction(unix.SIGTSTP, before)
	if on {
		continueOthers()
	}
}

func set(sig unix.Signal) *unix.Sigset_t {
	return &unix.Sigset_t{Val: [16]uint64{1 << (sig - 1)}}
}

// continueWaits reports whether SIGCONT waits for a thread to take it. The calling thread
// must have blocked it: the system tells of no others (sigpending(2)).
func continueWaits() bool {
	var waits uint64
	unix.RawSyscall(unix.SYS_RT_SIGPENDING, uintptr(unsafe.Pointer(&waits)), unsafe.Sizeof(waits), 0)
	return waits&(1<<(unix.SIGCONT-1)) != 0
}
